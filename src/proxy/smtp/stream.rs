//! The message on its way through: constant memory, back-pressure, nothing copied that is long.

use super::Settings;
use super::client::Client;
use super::ended::Ended;
use super::host::{Host, Lost};
use super::message::cut;
use super::watch::Watch;
use super::words;
use crate::proxy::outbox::{Draft, Trouble};
use crate::smtp::Answer;
use crate::smtp::data::{DataReader, Event, Fault};
use crate::smtp::header::{Attached, Collected, Collector, HeaderFault};
use crate::smtp::session::too_large;
use crate::types::MessageId;

/// Octets gathered before a write upstream: one TLS record. Longer spans are not copied.
const GATHER: usize = 16 * 1024;

/// A message that a client is sending.
pub(super) struct Incoming {
    reader: DataReader,
    /// The final dot was read.
    ended: bool,
    octets: u64,
    most_octets: u64,
    seconds: u64,
    /// Sees what is attached, where that matters.
    attached: Option<Attached>,
}

/// The header section, and what of the body came with it.
pub(super) struct Head {
    pub(super) section: Vec<u8>,
    rest: Vec<u8>,
}

/// What became of the body.
pub(super) enum Body {
    Whole,
    /// It must not be ended upstream.
    Bad(Answer),
}

impl Incoming {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            reader: DataReader::new(),
            ended: false,
            octets: 0,
            most_octets: settings.limits.message_octets,
            seconds: settings.data_seconds,
            attached: None,
        }
    }

    /// An attached message is looked for as the body passes.
    pub(super) fn look_for(&mut self, attached: Option<Attached>) {
        self.attached = attached;
    }

    /// What is forwarded by being attached, once the body has passed.
    pub(super) fn forwarded(&self) -> Option<&MessageId> {
        self.attached.as_ref().and_then(Attached::forwarded)
    }

    fn look(&mut self, span: &[u8]) {
        if let Some(attached) = &mut self.attached {
            attached.push(span);
        }
    }

    /// The host takes no more than this.
    pub(super) fn limit(&mut self, most: Option<u64>) {
        self.most_octets = most.map_or(self.most_octets, |most| most.min(self.most_octets));
    }

    /// Reads the header section, 256 KiB at most.
    pub(super) async fn head(
        &mut self,
        client: &mut Client,
        watch: &mut Watch,
    ) -> Result<Result<Head, Answer>, Ended> {
        let mut collector = Collector::default();
        loop {
            self.wait(client, watch).await?;
            let (used, event) = self.reader.next(client.wire.buffered());
            let mut rest = Vec::new();
            let done = match event {
                Event::Span(span) => match collector.push(span) {
                    Collected::More => false,
                    Collected::Whole(header) => {
                        rest.extend_from_slice(&span[header..]);
                        true
                    }
                    Collected::TooLong => {
                        client.wire.consume(used);
                        return Ok(Err(HeaderFault::TooLong.answer()));
                    }
                },
                Event::Nothing => false,
                Event::End => {
                    self.ended = true;
                    true
                }
            };
            client.wire.consume(used);
            if let Some(fault) = self.reader.fault() {
                return Ok(Err(unclean(fault)));
            }
            if done {
                self.octets = (collector.section().len() + rest.len()) as u64;
                return Ok(Ok(Head { section: collector.section().to_vec(), rest }));
            }
        }
    }

    /// Writes header and body upstream, up to the final dot, which is left out; the body goes
    /// into the draft, too, which has the header already.
    pub(super) async fn body(
        &mut self,
        client: &mut Client,
        watch: &mut Watch,
        (host, draft): (&mut Host, &mut Draft),
        (section, head): (&[u8], Head),
    ) -> Result<Body, Ended> {
        // What came with the header may be too much already.
        if self.octets > self.most_octets {
            return Ok(Body::Bad(too_large(self.most_octets)));
        }
        if guarded(watch, send(host, section)).await? == Err(Lost) {
            return Ok(Body::Bad(words::confused()));
        }
        self.look(&head.rest);
        if let Err(answer) = guarded(watch, pass(host, draft, &head.rest)).await? {
            return Ok(Body::Bad(answer));
        }
        while !self.ended {
            self.wait(client, watch).await?;
            let (used, event) = self.reader.next(client.wire.buffered());
            let bad = match event {
                Event::Span(span) => {
                    self.octets += span.len() as u64;
                    if self.octets > self.most_octets {
                        Some(too_large(self.most_octets))
                    } else {
                        self.look(span);
                        guarded(watch, pass(host, draft, span)).await?.err()
                    }
                }
                Event::Nothing => None,
                Event::End => {
                    self.ended = true;
                    None
                }
            };
            client.wire.consume(used);
            if let Some(answer) = bad {
                return Ok(Body::Bad(answer));
            }
            if let Some(fault) = self.reader.fault() {
                return Ok(Body::Bad(unclean(fault)));
            }
        }
        Ok(Body::Whole)
    }

    /// Reads to the final dot and drops what comes.
    pub(super) async fn swallow(&mut self, client: &mut Client, watch: &mut Watch) -> Result<(), Ended> {
        while !self.ended {
            self.wait(client, watch).await?;
            let (used, event) = self.reader.next(client.wire.buffered());
            self.ended = event == Event::End;
            client.wire.consume(used);
        }
        Ok(())
    }

    /// Waits until something is here to be read.
    async fn wait(&self, client: &mut Client, watch: &mut Watch) -> Result<(), Ended> {
        // A stream that never makes us wait would never let the watch speak.
        watch.effective().map_err(cut)?;
        if !client.wire.buffered().is_empty() {
            return Ok(());
        }
        watch.unless_lost(self.seconds, Ended::Slow, client.fill()).await.map_err(cut)?
    }
}

/// A piece of the body, to the two places where it goes.
async fn pass(host: &mut Host, draft: &mut Draft, octets: &[u8]) -> Result<(), Answer> {
    draft.body(octets).await.map_err(Trouble::answer)?;
    send(host, octets).await.map_err(|Lost| words::confused())
}

/// Writes short pieces together, and long ones as they are.
async fn send(host: &mut Host, octets: &[u8]) -> Result<(), Lost> {
    if host.out().len() + octets.len() <= GATHER {
        host.out().extend_from_slice(octets);
        return Ok(());
    }
    host.pass(octets).await
}

/// A write upstream, which has its own deadline, unless the right to send is lost meanwhile.
async fn guarded<T>(watch: &mut Watch, work: impl Future<Output = T>) -> Result<T, Ended> {
    watch.unless_lost(u64::from(u32::MAX), Ended::Slow, work).await.map_err(cut)
}

/// RFC 3463's 5.6.11 is an invalid character in the message.
fn unclean(fault: Fault) -> Answer {
    Answer::new(550, 6, 11, format!("{fault}; it was not sent"))
}
