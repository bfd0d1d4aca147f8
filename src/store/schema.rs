//! Opening: which file is right, which schema it has, and how it comes to today's.

use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use super::StoreError;
use super::disk::{Disk, Raw, sync_dir};
use super::export::{self, Log, Parsed};
use super::snapshot::Index;
use super::tables::{Row, Tables};

/// One step from a schema to the next.
pub(super) type Migration = fn(&mut Raw) -> Result<(), String>;

/// A schema's number and the ways to it.
pub(super) struct Schema {
    pub version: u32,
    /// `migrations[i]` leads from schema `i + 1` to `i + 2`; so there is one less than versions.
    pub migrations: &'static [Migration],
}

/// The schema of this Mandate.
pub(super) const CURRENT: Schema = Schema { version: 1, migrations: &[] };

/// What the writer holds open.
pub(super) struct Files {
    pub dir: std::path::PathBuf,
    pub disk: Disk,
    pub log: Log,
    /// The number of the last change on disk.
    pub n: u64,
}

pub(super) struct Opened {
    pub files: Files,
    pub tables: Tables,
    pub index: Index,
}

/// Opens both files in `dir`, settles on the one that knows more, and brings both there.
pub(super) fn open(dir: &Path, cache_capacity: u64, schema: &Schema) -> Result<Opened, StoreError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(StoreError::io(dir))?;
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(StoreError::io(dir))?;
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_dir(parent)?;
    }
    let disk = Disk::open(dir, cache_capacity)?;
    let stored = disk.load()?;
    let logged = usable(dir, Log::read(dir), stored.as_ref())?;

    let mut raw = newer(stored.as_ref(), logged.as_ref(), schema);
    migrate(&mut raw, schema, &dir.join(export::FILE))?;
    let rows = rows(&raw);
    let tables = tables(&rows).map_err(|why| StoreError::Damaged { path: dir.to_owned(), why })?;
    let index = Index::build(&tables)
        .map_err(|error| StoreError::Damaged { path: dir.to_owned(), why: error.to_string() })?;

    if stored.as_ref() != Some(&raw) {
        disk.replace(&raw)?;
    }
    let log = match logged {
        Some(logged) if logged.raw == raw => Log::resume(dir, &logged)?,
        Some(_) | None => Log::create(dir, raw.n, schema.version, &rows)?,
    };
    Ok(Opened { files: Files { dir: dir.to_owned(), disk, log, n: raw.n }, tables, index })
}

/// A damaged log is set aside if sled knows all that it ever held.
fn usable(
    dir: &Path,
    log: Result<Option<Parsed>, StoreError>,
    stored: Option<&Raw>,
) -> Result<Option<Parsed>, StoreError> {
    let why = match log {
        Ok(None) => return Ok(None),
        Ok(Some(Parsed { damaged: None, .. })) => return log,
        Ok(Some(Parsed { damaged: Some(why), last_seen, .. })) => {
            if stored.is_none_or(|stored| stored.n < last_seen) {
                return Err(StoreError::Damaged { path: dir.join(export::FILE), why });
            }
            why
        }
        Err(StoreError::Damaged { why, .. }) if stored.is_some_and(|stored| stored.n > 0) => why,
        Err(error) => return Err(error),
    };
    let aside = Log::set_aside(dir)?;
    tracing::error!("the store's export is damaged ({why}): it is now {} and made anew", aside.display());
    Ok(None)
}

/// The state with the later change; sled's if they agree.
fn newer(stored: Option<&Raw>, logged: Option<&Parsed>, schema: &Schema) -> Raw {
    match (stored, logged) {
        (Some(stored), Some(logged)) if logged.raw.n > stored.n => {
            let behind = logged.raw.n - stored.n;
            tracing::warn!(behind, "the store lacks changes that its export has: they are put back");
            logged.raw.clone()
        }
        (Some(stored), _) => stored.clone(),
        (None, Some(logged)) => {
            tracing::warn!("there is no store but an export: it is rebuilt");
            logged.raw.clone()
        }
        (None, None) => Raw { schema: schema.version, ..Raw::default() },
    }
}

fn migrate(raw: &mut Raw, schema: &Schema, path: &Path) -> Result<(), StoreError> {
    if raw.schema > schema.version || raw.schema == 0 {
        return Err(StoreError::Newer { path: path.to_owned(), found: raw.schema, known: schema.version });
    }
    let done = raw.schema as usize - 1;
    for migration in schema.migrations.iter().skip(done) {
        let from = raw.schema;
        let failed = |why| format!("it could not be brought from schema {from} to {}: {why}", from + 1);
        migration(raw).map_err(|why| StoreError::Damaged { path: path.to_owned(), why: failed(why) })?;
        raw.schema += 1;
        tracing::info!("store brought to schema {}", raw.schema);
    }
    Ok(())
}

fn rows(raw: &Raw) -> Vec<Row> {
    raw.records.iter().map(|(key, value)| Row { key: key.clone(), value: Some(value.clone()) }).collect()
}

fn tables(rows: &[Row]) -> Result<Tables, String> {
    let mut tables = Tables::default();
    rows.iter().try_for_each(|row| tables.load(row))?;
    Ok(tables)
}

/// The records of an export, in today's schema.
pub(super) fn rows_of_export(text: &str, schema: &Schema) -> Result<Vec<Row>, StoreError> {
    let mut parsed = export::parse(text.as_bytes()).map_err(export::damaged)?;
    if let Some(why) = parsed.damaged {
        return Err(export::damaged(why));
    }
    if parsed.good < text.len() {
        return Err(export::damaged("its last line is damaged; remove that line to use the others".into()));
    }
    migrate(&mut parsed.raw, schema, Path::new("the export"))?;
    Ok(rows(&parsed.raw))
}
