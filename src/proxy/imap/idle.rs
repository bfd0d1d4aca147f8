//! IDLE (RFC 2177), also where upstream has none.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::ended::Ended;
use super::exchange::{Found, Manner, Show, Stop};
use super::park::News;
use super::session::Session;
use super::watch::Waiting;
use crate::imap::command::{Command, Tag};
use crate::imap::frame::MAX_DONE_LINE;
use crate::imap::reply::{self, Outcome};
use crate::imap::writer::{self, Housekeeping};
use crate::policy::{Fact, Facts, Next, Permit};
use crate::types::UidSet;
use crate::upstream::Pause;

/// Time between our signs of life: NATs on the way to phones forget after 4 to 5 minutes.
const STILL_HERE: Duration = Duration::from_secs(120);

/// Time between looks at an upstream that has no IDLE.
const POLL: Duration = Duration::from_secs(30);

/// How long one upstream IDLE lasts: hosts log out after 30 minutes (RFC 2177).
const REISSUE: Duration = Duration::from_secs(28 * 60);

/// What upstream is doing while the client idles.
enum Upstream {
    /// No folder is open: nothing.
    None,
    /// IDLE, under this tag, since then.
    Idling(Tag, Instant),
    /// Asked by NOOP now and then.
    Polled(Instant),
    /// Nothing: the session is parked, and the folder watched by others.
    Parked,
}

/// Why the wait was over.
enum Woke {
    Client(std::io::Result<usize>),
    Upstream(std::io::Result<usize>),
    /// The folder that others watch may have changed.
    Mirror,
    /// Somebody else waits for the connection.
    Wanted,
    Timer,
}

impl Session {
    /// IDLE on the open folder.
    pub(super) async fn idle(
        &mut self,
        tag: &Tag,
        command: &Command,
        mut permit: Permit,
    ) -> Result<(), Ended> {
        let own = UidSet::new();
        let facts = Facts { last: Fact::Start, effective: self.watch.effective(), own: &own, by_uid: true };
        let step = match permit.next(&facts) {
            Next::Run(step) => step,
            Next::Refuse(denial) => return self.deny(tag, command, &denial).await,
            Next::Done => return Ok(()),
        };
        let idles = self.lease.as_ref().is_some_and(|lease| lease.capabilities().has("IDLE"));
        if self.is_parked() {
            return self.wait_for_done(tag, Upstream::Parked).await;
        }
        let upstream = match self.write(&step, command) {
            Some((outgoing, ours)) if idles => self.start_idle(tag, &outgoing.parts, ours).await?,
            Some(_) | None => Upstream::Polled(Instant::now()),
        };
        let waited = self.wait_for_done(tag, upstream).await;
        if let Some(lease) = &self.lease {
            lease.keep();
        }
        // Upstream may still be in IDLE, where nothing but DONE is understood.
        self.tainted |= waited.is_err();
        waited
    }

    /// IDLE without an open folder.
    pub(super) async fn idle_nowhere(&mut self, tag: &Tag) -> Result<(), Ended> {
        self.wait_for_done(tag, Upstream::None).await
    }

    async fn start_idle(&mut self, tag: &Tag, parts: &[Vec<u8>], ours: Tag) -> Result<Upstream, Ended> {
        let mut exchange = self.exchanging(tag, self.idling())?;
        exchange.begin(&ours, &mut Found::default()).await?;
        for part in parts {
            exchange.send(part).await?;
        }
        match exchange.read(&ours, &mut Found::default()).await? {
            Stop::Continue => Ok(Upstream::Idling(ours, Instant::now())),
            // It has IDLE and will not: then it is asked now and then.
            Stop::Tagged(_) | Stop::Dry => Ok(Upstream::Polled(Instant::now())),
        }
    }

    async fn wait_for_done(&mut self, tag: &Tag, mut upstream: Upstream) -> Result<(), Ended> {
        reply::continuation(self.client.wire.out(), "idling");
        let mut sign = Instant::now() + STILL_HERE;
        self.offer_lease();
        // News may have come in one piece with upstream's `+`.
        self.take_in_news(tag, &upstream).await?;
        loop {
            if self.done_has_come()? {
                break;
            }
            let flush = self.client.flush();
            self.watch.unless_lost(Waiting::Writing, flush).await??;
            let timer = match &upstream {
                Upstream::Polled(since) => sign.min(*since + POLL),
                Upstream::None | Upstream::Idling(..) | Upstream::Parked => sign,
            };
            match self.wake(&upstream, timer).await? {
                Woke::Client(Ok(1..)) => {}
                Woke::Client(Ok(0) | Err(_)) => return Err(Ended::ClientGone),
                Woke::Upstream(Ok(0) | Err(_)) => return Err(Ended::UpstreamGone),
                Woke::Upstream(Ok(_)) => self.take_in_news(tag, &upstream).await?,
                Woke::Mirror => upstream = self.hear_mirror(tag, upstream).await?,
                Woke::Wanted => upstream = Box::pin(self.give_way(tag, upstream)).await?,
                Woke::Timer => {
                    if Instant::now() >= sign {
                        reply::untagged(self.client.wire.out(), Outcome::Ok, "", "Still here");
                        sign = Instant::now() + STILL_HERE;
                        self.offer_lease();
                    }
                    upstream = self.renew(tag, upstream).await?;
                    self.take_in_news(tag, &upstream).await?;
                }
            }
        }
        self.stop_idle(tag, upstream).await?;
        if self.watch.take_changed() {
            self.announce_flags();
        }
        reply::tagged(self.client.wire.out(), tag, Outcome::Ok, "", "IDLE completed");
        Ok(())
    }

    /// Whether DONE is there; anything else that comes ends the session.
    fn done_has_come(&mut self) -> Result<bool, Ended> {
        match self.client.plain_line_now(MAX_DONE_LINE)? {
            Some(line) if line.eq_ignore_ascii_case(b"DONE") => Ok(true),
            Some(_) => {
                reply::bad_without_tag(self.client.wire.out(), "DONE is expected here");
                Err(Ended::Unparseable)
            }
            None => Ok(false),
        }
    }

    async fn wake(&mut self, upstream: &Upstream, timer: Instant) -> Result<Woke, Ended> {
        let parked = self.selected.as_deref_mut().filter(|_| matches!(upstream, Upstream::Parked));
        let wanted = self.lease.as_ref().map(|lease| lease.wanted());
        let wanted = async {
            match wanted {
                Some(wanted) => wanted.await,
                None => std::future::pending().await,
            }
        };
        let lease = self.lease.as_mut().filter(|_| matches!(upstream, Upstream::Idling(..)));
        let news = async {
            match lease {
                Some(lease) => lease.wire.fill().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = self.watch.lost(Waiting::Idle) => Err(ended),
            filled = self.client.wire.fill() => Ok(Woke::Client(filled)),
            filled = news => Ok(Woke::Upstream(filled)),
            () = wanted => Ok(Woke::Wanted),
            () = Self::mirror_changed(parked) => Ok(Woke::Mirror),
            () = sleep_until(timer) => Ok(Woke::Timer),
        }
    }

    /// Upstream says something: the client hears what it may.
    async fn take_in_news(&mut self, tag: &Tag, upstream: &Upstream) -> Result<(), Ended> {
        if let Upstream::Parked = upstream {
            return self.tell_news(tag).map(|_| ());
        }
        let Upstream::Idling(ours, _) = upstream else { return Ok(()) };
        let mut exchange = self.exchanging(tag, self.idling())?;
        match exchange.take_in(ours, &mut Found::default()).await? {
            Stop::Dry => Ok(()),
            Stop::Continue | Stop::Tagged(_) => Err(Ended::UpstreamGone),
        }
    }

    /// The client idles: the connection is there for whoever needs it more.
    fn offer_lease(&self) {
        if let Some(lease) = self.lease.as_ref().filter(|_| self.holds_folder()) {
            lease.offer(Pause::Idle);
        }
    }

    /// Gives the connection up, if the folder can be watched without it.
    async fn give_way(&mut self, tag: &Tag, upstream: Upstream) -> Result<Upstream, Ended> {
        let Some(sight) = self.sight().await? else {
            // Offered again with the next sign of life.
            if let Some(lease) = &self.lease {
                lease.keep();
            }
            return Ok(upstream);
        };
        self.stop_idle(tag, upstream).await?;
        let numbering = self.numbering_in_idle().await?;
        if self.park(sight, numbering).await? {
            self.tell_news(tag)?;
            return Ok(Upstream::Parked);
        }
        self.idle_again(tag).await
    }

    /// News from the mirror; where it remembers too little, the session comes back.
    async fn hear_mirror(&mut self, tag: &Tag, upstream: Upstream) -> Result<Upstream, Ended> {
        if self.tell_news(tag)? == News::Told {
            return Ok(upstream);
        }
        match Box::pin(self.come_back_for(tag, &Command::Idle)).await? {
            true => self.idle_again(tag).await,
            false => Err(Ended::UpstreamGone),
        }
    }

    /// Upstream idles once more.
    async fn idle_again(&mut self, tag: &Tag) -> Result<Upstream, Ended> {
        if !self.lease.as_ref().is_some_and(|lease| lease.capabilities().has("IDLE")) {
            return Ok(Upstream::Polled(Instant::now()));
        }
        let (parts, ours) = self.ours(&Housekeeping::Idle)?;
        let upstream = self.start_idle(tag, &parts, ours).await?;
        self.take_in_news(tag, &upstream).await?;
        Ok(upstream)
    }

    /// A new IDLE before the host loses patience, or a look at a host that has none.
    async fn renew(&mut self, tag: &Tag, upstream: Upstream) -> Result<Upstream, Ended> {
        match upstream {
            Upstream::Idling(ours, since) if since.elapsed() >= REISSUE => {
                self.stop_idle(tag, Upstream::Idling(ours, since)).await?;
                self.idle_again(tag).await
            }
            Upstream::Polled(since) if since.elapsed() >= POLL => {
                let (parts, ours) = self.ours(&Housekeeping::Noop)?;
                let mut exchange = self.exchanging(tag, self.idling())?;
                for part in &parts {
                    exchange.send(part).await?;
                }
                exchange.read(&ours, &mut Found::default()).await?;
                Ok(Upstream::Polled(Instant::now()))
            }
            Upstream::None => Ok(Upstream::None),
            unchanged @ (Upstream::Idling(..) | Upstream::Polled(_) | Upstream::Parked) => Ok(unchanged),
        }
    }

    async fn stop_idle(&mut self, tag: &Tag, upstream: Upstream) -> Result<(), Ended> {
        let Upstream::Idling(ours, _) = upstream else { return Ok(()) };
        let (parts, _) = self.ours(&Housekeeping::Done)?;
        let mut exchange = self.exchanging(tag, self.idling())?;
        for part in &parts {
            exchange.send(part).await?;
        }
        match exchange.read(&ours, &mut Found::default()).await? {
            Stop::Tagged(_) => Ok(()),
            Stop::Continue | Stop::Dry => Err(Ended::UpstreamUnparseable),
        }
    }

    fn idling(&self) -> Manner {
        Manner { condstore: self.tells_mod_seq(), ..IDLING }
    }

    /// A command of our own within the client's IDLE, and its tag.
    fn ours(&mut self, what: &Housekeeping<'_>) -> Result<(Vec<Vec<u8>>, Tag), Ended> {
        let Some(lease) = self.lease.as_mut() else { return Err(Ended::UpstreamGone) };
        let ours = lease.tag();
        let written = writer::housekeeping(what, &ours).zip(Tag::parse(ours.as_bytes()));
        let Some((mut outgoing, ours)) = written else { return Err(Ended::UpstreamUnparseable) };
        Ok((std::mem::take(&mut outgoing.parts), ours))
    }
}

/// How answers are read while the client idles: changes in the folder, whatever their form.
const IDLING: Manner = Manner {
    show: Show::Answer,
    opening: false,
    no_expunge: false,
    condstore: false,
    qresync: false,
    searches: None,
    by_uid: true,
    tells_uids: false,
    as_rfc822: false,
    as_rfc822_text: false,
};
