//! Plays a transcript: says what client and mail host say, and compares what the proxy does.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::script::{self, Pattern, Setting, Step, Transcript};
use crate::transport::{Left, Near, pair};
use crate::upstream::Upstream;
use crate::world::World;

/// How long is waited where something unexpected is there already; nothing waits for it that
/// goes well.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same where nothing is: long enough for a loaded machine.
const TURNS_OF_PATIENCE: usize = 15;

/// Most octets of a line that are shown.
const SHOWN: usize = 300;

/// How octets are cut into pieces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pieces {
    /// As the transcript has them.
    AsWritten,
    /// The client's cut in two after so many of them.
    ClientCutAt(usize),
    /// Each of the client's on its own.
    ClientOctets,
    /// Each of upstream's on its own.
    UpstreamOctets,
}

/// Plays it once.
///
/// # Errors
/// Where and how it went differently, with the dialogue so far.
pub(crate) fn play(transcript: &Transcript, pieces: Pieces) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let played = runtime.block_on(async {
        let mut stage = Stage::new(transcript, pieces).await;
        let mut played = stage.all(transcript).await;
        if played.is_ok() {
            played = stage.wind_down().await;
        }
        let dialogue = stage.log.join("\n    ");
        if std::env::var_os("TRANSCRIPT_SHOW").is_some() {
            println!("{} ({pieces:?})\n    {dialogue}", transcript.name);
        }
        played.map_err(|why| format!("{} ({pieces:?}), {why}\n    {dialogue}", transcript.name))
    });
    runtime.shutdown_background();
    played
}

struct Stage {
    world: World,
    upstream: Upstream,
    client: Near,
    session: JoinHandle<()>,
    pieces: Pieces,
    /// What the client is about to say.
    piece: Vec<u8>,
    /// Octets that the client has said.
    said: usize,
    log: Vec<String>,
}

impl Stage {
    async fn new(transcript: &Transcript, pieces: Pieces) -> Self {
        let mut upstream = Upstream::new(pieces == Pieces::UpstreamOctets).await;
        for setting in &transcript.settings {
            match setting {
                Setting::With(capabilities) => upstream.with(capabilities),
                Setting::Without(capabilities) => upstream.without(capabilities),
                Setting::Separator(separator) => upstream.separator = *separator,
                Setting::Pin(..) | Setting::Option(..) | Setting::AppendLimit(_) => {}
            }
        }
        let world = World::new(upstream.port(), upstream.separator, &transcript.settings).await;
        let (client, far) = pair();
        let session = world.serve(far);
        Self { world, upstream, client, session, pieces, piece: Vec::new(), said: 0, log: Vec::new() }
    }

    async fn all(&mut self, transcript: &Transcript) -> Result<(), String> {
        let greeting = "P: * OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID AUTH=PLAIN] Mandate ready";
        let line = self.line().await.map_err(|why| format!("greeting: {why}"))?;
        if format!("P: {}", escape(&line)) != greeting {
            return Err(format!("greeting is {}", escape(&line)));
        }
        for (at, step) in &transcript.steps {
            self.step(step).await.map_err(|why| format!("line {at}: {why}"))?;
            self.log.append(&mut self.upstream.log);
        }
        self.speak();
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        if let Step::Client(octets) = step {
            self.log.push(format!("C: {}", escape(octets)));
            self.piece.extend_from_slice(octets);
            return Ok(());
        }
        self.speak();
        match step {
            Step::Client(_) => Ok(()),
            Step::Proxy(pattern) => {
                let line = self.line().await.map_err(|why| format!("instead of P: {pattern:?}: {why}"))?;
                if pattern.matches(&line) { Ok(()) } else { Err(format!("expected P: {pattern:?}")) }
            }
            Step::ProxySkips(pattern) => self.skip(pattern).await,
            Step::ProxyPart(part) => self.part(part).await,
            Step::Upstream(pattern) => self.command(pattern).await,
            Step::UpstreamPart(part) => self.command_part(part).await,
            Step::Server(octets) => {
                self.log.push(format!("S: {}", escape(octets)));
                self.upstream.say(octets);
                Ok(())
            }
            Step::ExpectClosed => self.end(Left::Closed).await,
            Step::ExpectCut => self.end(Left::Cut).await,
            Step::ExpectCutAnyhow => {
                self.until(|stage, cx| stage.client.poll_hear(cx, |_| None::<()>)).await?.ok();
                self.client.forget();
                self.end(Left::Cut).await
            }
            Step::NothingUpstream => self.nothing_upstream(),
            other => self.happens(other).await,
        }
    }

    /// What neither side says.
    async fn happens(&mut self, step: &Step) -> Result<(), String> {
        self.log.push(format!("{step:?}"));
        match step {
            Step::Revoke(user) => self.world.revoke(user).await,
            Step::Role(user, role) => self.world.set_role(user, role).await,
            Step::Narrow(user, words) => self.world.narrow(user, words).await,
            Step::Folder(name, attributes) => self.upstream.add_folder(name, attributes),
            Step::NoFolder(name) => self.upstream.remove_folder(name),
            Step::Wait(seconds) => {
                self.settle().await?;
                tokio::time::pause();
                tokio::time::advance(Duration::from_secs(*seconds)).await;
                tokio::time::resume();
            }
            Step::Drain => self.world.drain(),
            Step::CloseUpstream => self.upstream.close(),
            Step::CloseClient => {
                self.settle().await?;
                self.client.hang_up();
            }
            Step::Client(_)
            | Step::Proxy(_)
            | Step::ProxySkips(_)
            | Step::ProxyPart(_)
            | Step::Upstream(_)
            | Step::UpstreamPart(_)
            | Step::Server(_)
            | Step::ExpectClosed
            | Step::ExpectCut
            | Step::ExpectCutAnyhow
            | Step::NothingUpstream => {}
        }
        Ok(())
    }

    /// Hands the client's octets over, in pieces.
    fn speak(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        if piece.is_empty() {
            return;
        }
        let before = self.said;
        self.said += piece.len();
        match self.pieces {
            Pieces::ClientOctets => piece.iter().for_each(|octet| self.client.say(vec![*octet])),
            Pieces::ClientCutAt(at) if before < at && at < self.said => {
                let (first, second) = piece.split_at(at - before);
                self.client.say(first.to_vec());
                self.client.say(second.to_vec());
            }
            Pieces::AsWritten | Pieces::ClientCutAt(_) | Pieces::UpstreamOctets => self.client.say(piece),
        }
    }

    /// The proxy's next line to the client, without CRLF.
    async fn line(&mut self) -> Result<Vec<u8>, String> {
        let heard = self.until(|stage, cx| stage.client.poll_hear(cx, take_line)).await?;
        let line = heard.map_err(|left| format!("the proxy left ({left:?})"))?;
        self.log.push(format!("P: {}", escape(&line)));
        Ok(line)
    }

    async fn skip(&mut self, pattern: &Pattern) -> Result<(), String> {
        loop {
            let line = self.line().await.map_err(|why| format!("instead of P* {pattern:?}: {why}"))?;
            if pattern.matches(&line) {
                return Ok(());
            }
            if !line.starts_with(b"* ") {
                return Err(format!("expected P* {pattern:?}"));
            }
        }
    }

    async fn part(&mut self, part: &[u8]) -> Result<(), String> {
        let take = |heard: &mut Vec<u8>| {
            (heard.len() >= part.len()).then(|| heard.drain(..part.len()).collect::<Vec<u8>>())
        };
        let heard = self.until(|stage, cx| stage.client.poll_hear(cx, take)).await?;
        let heard = heard.map_err(|left| format!("the proxy left ({left:?})"))?;
        self.log.push(format!("P+ {}", escape(&heard)));
        if heard == part { Ok(()) } else { Err(format!("expected P+ {}", escape(part))) }
    }

    async fn command(&mut self, pattern: &Pattern) -> Result<(), String> {
        let line = self
            .until_by(false, |stage, _| stage.upstream.take_line().map_or(Poll::Pending, Poll::Ready))
            .await
            .map_err(|why| format!("instead of U: {pattern:?}: {why}"))?;
        self.log.push(format!("U: {}", escape(&line)));
        if pattern.matches(&line) { Ok(()) } else { Err(format!("expected U: {pattern:?}")) }
    }

    async fn command_part(&mut self, part: &[u8]) -> Result<(), String> {
        let take =
            |stage: &mut Self| stage.upstream.take_exact(part.len()).map_or(Poll::Pending, Poll::Ready);
        let heard = self.until_by(false, |stage, _| take(stage)).await?;
        self.log.push(format!("U+ {}", escape(&heard)));
        if heard == part { Ok(()) } else { Err(format!("expected U+ {}", escape(part))) }
    }

    /// The proxy leaves, and has nothing more to say.
    async fn end(&mut self, how: Left) -> Result<(), String> {
        let never = |_: &mut Vec<u8>| None::<()>;
        let left = self.until(|stage, cx| stage.client.poll_hear(cx, never)).await?;
        let rest = self.client.rest();
        if !rest.is_empty() {
            return Err(format!("and then it said {}", escape(&rest)));
        }
        match left {
            Err(left) if left == how => Ok(()),
            left => Err(format!("expected {how:?}, got {left:?}")),
        }
    }

    fn nothing_upstream(&mut self) -> Result<(), String> {
        self.upstream.read_the_rest();
        match self.upstream.waiting().as_slice() {
            [] => Ok(()),
            waiting => Err(format!("upstream heard {}", shown(waiting))),
        }
    }

    /// Waits until upstream has said everything and the proxy has had time to hear it.
    async fn settle(&mut self) -> Result<(), String> {
        self.until(|stage, _| if stage.upstream.is_silent() { Poll::Ready(()) } else { Poll::Pending })
            .await?;
        for _ in 0..20 {
            poll_fn(|cx| {
                self.upstream.poll(cx);
                Poll::Ready(())
            })
            .await;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Ends the session from the client's side; nothing unexpected may have been said.
    async fn wind_down(&mut self) -> Result<(), String> {
        self.settle().await?;
        self.nothing_upstream().map_err(|why| format!("at the end: {why}"))?;
        self.client.hang_up();
        self.upstream.winding_down = true;
        self.until(|stage, cx| match std::pin::Pin::new(&mut stage.session).poll(cx) {
            Poll::Ready(ended) => {
                Poll::Ready(ended.map_err(|error| format!("the session panicked: {error}")))
            }
            Poll::Pending => Poll::Pending,
        })
        .await
        .map_err(|why| format!("the session does not end: {why}"))??;
        self.log.append(&mut self.upstream.log);
        let rest = self.client.rest();
        if !rest.is_empty() {
            return Err(format!("at the end: the client also heard {}", escape(&rest)));
        }
        self.nothing_upstream().map_err(|why| format!("at the end: {why}"))
    }

    /// Waits, while the mail host does what it does by itself; in vain where upstream waits for
    /// the transcript.
    async fn until<T>(
        &mut self,
        ready: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<T>,
    ) -> Result<T, String> {
        self.until_by(true, ready).await
    }

    async fn until_by<T>(
        &mut self,
        stuck_by_upstream: bool,
        mut ready: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<T>,
    ) -> Result<T, String> {
        for _ in 0..TURNS_OF_PATIENCE {
            let waiting = poll_fn(|cx| {
                self.upstream.poll(cx);
                ready(self, cx)
            });
            if let Ok(done) = timeout(PATIENCE, waiting).await {
                return Ok(done);
            }
            if stuck_by_upstream && !self.upstream.waiting().is_empty() {
                break;
            }
        }
        let mut why = "nothing comes".to_owned();
        let heard = self.client.rest();
        if !heard.is_empty() {
            let _ = write!(why, "; the client heard {}", escape(&heard));
        }
        let waiting = self.upstream.waiting();
        if !waiting.is_empty() {
            let _ = write!(why, "; upstream heard {}", shown(&waiting));
        }
        Err(why)
    }
}

/// Octets for a person, not all of many.
fn escape(octets: &[u8]) -> String {
    let rest = octets.len().saturating_sub(SHOWN);
    let shown = script::escape(&octets[..octets.len() - rest]);
    if rest > 0 { format!("{shown} and {rest} more") } else { shown }
}

fn take_line(heard: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = heard.windows(2).position(|pair| pair == b"\r\n")?;
    Some(heard.drain(..end + 2).take(end).collect())
}

fn shown(lines: &[Vec<u8>]) -> String {
    lines.iter().map(|line| escape(line)).collect::<Vec<_>>().join(" | ")
}
