//! The table that a run ends with.

use crate::cases::{Case, Sample, Target};
use crate::peers::Kind;

/// What became of one case.
pub struct Row {
    pub case: &'static Case,
    /// In the order of [`Kind::ALL`]; what was not wanted is `None`.
    pub results: [Option<Measured>; Kind::ALL.len()],
}

/// The rounds of one proxy, or why there are none.
pub type Measured = Result<Vec<Sample>, String>;

/// Prints costs, ratios, targets, and below them what there is to know.
pub fn print(rows: &[Row]) {
    println!("{}", line("case", "", &Kind::ALL.map(Kind::name), ["floor/h.", "mandate/h.", "target", ""]));
    for row in rows {
        println!("{}", row.line());
    }
    let notes: Vec<String> = rows.iter().flat_map(Row::notes).collect();
    if !notes.is_empty() {
        println!("\n{}", notes.join("\n"));
    }
}

fn line(title: &str, unit: &str, costs: &[&str], [floor, mandate, target, verdict]: [&str; 4]) -> String {
    let costs: String = costs.iter().map(|cost| format!(" {cost:>9}")).collect();
    let line = format!("{title:<40} {unit:<5}{costs} {floor:>9} {mandate:>10} {target:>10} {verdict}");
    line.trim_end().to_owned()
}

impl Row {
    fn line(&self) -> String {
        let [haproxy, floor, mandate] = Kind::ALL.map(|kind| self.cost(kind));
        let number = |value: Option<f64>| value.map_or("-".to_owned(), significant);
        let ratio = |cost: Option<f64>| {
            let ratio = cost.zip(haproxy).map(|(cost, haproxy)| cost / haproxy);
            ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
        };
        let target = match self.case.target {
            Target::TimesHaproxy(times) => format!("<= {times:.2}"),
            Target::AtMost(most) => format!("<= {most:.0} {}", self.case.unit.name()),
        };
        let met = mandate.and_then(|cost| self.case.target.is_met(cost, haproxy));
        let verdict = met.map_or("", |met| if met { "met" } else { "MISSED" });
        let costs = [haproxy, floor, mandate].map(number);
        let costs = costs.each_ref().map(String::as_str);
        let rest = [&ratio(floor), &ratio(mandate), target.as_str(), verdict];
        line(self.case.title, self.case.unit.name(), &costs, rest)
    }

    /// The median of a proxy's rounds.
    fn cost(&self, kind: Kind) -> Option<f64> {
        let samples = self.results[kind as usize].as_ref()?.as_ref().ok()?;
        let mut costs: Vec<f64> = samples.iter().map(|sample| sample.cost).collect();
        costs.sort_by(f64::total_cmp);
        let (low, high) = (costs.get((costs.len().max(1) - 1) / 2)?, costs.get(costs.len() / 2)?);
        Some(f64::midpoint(*low, *high))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (kind, result) in Kind::ALL.iter().zip(&self.results) {
            let note = match result {
                Some(Err(fault)) => Some(format!("FAILED: {fault}")),
                Some(Ok(samples)) => samples.iter().find_map(|sample| sample.note.clone()),
                None => None,
            };
            notes.extend(note.map(|note| format!("{}, {}: {note}", self.case.name, kind.name())));
        }
        notes
    }
}

/// Three significant digits.
fn significant(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}
