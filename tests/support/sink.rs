//! An SMTP server that records what it is sent and answers as it is told.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::smtp::unstuffed;
use super::{Certificate, eventually};

/// A recording SMTP server on loopback. It serves until the test process ends.
pub struct Sink {
    address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

/// A message that came as far as its end of data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// The argument of EHLO or HELO.
    pub helo: String,
    /// The credentials of AUTH PLAIN, base64 as they came.
    pub auth: Option<String>,
    /// What followed `MAIL FROM:`, parameters included: `<a@b> SIZE=12`.
    pub mail_from: String,
    /// What followed each `RCPT TO:`.
    pub rcpt_to: Vec<String>,
    /// The octets between 354 and the final `.`, dots as they came.
    pub data: Vec<u8>,
    /// Whether the answer to it was positive.
    pub accepted: bool,
}

/// Where in a session an answer is due.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stage {
    Greeting,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    /// The answer to DATA itself: 354 or a refusal.
    Data,
    /// After the first line of the body; there is nothing to be said, but to close.
    Body,
    /// The answer to the whole message.
    EndOfData,
    Rset,
    Quit,
    Other,
}

/// How the sink answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Lines as they go out, without the last CRLF.
    Reply(String),
    /// The same, and closes the connection.
    ReplyAndClose(String),
    /// The same, once the test has called [`Sink::release`].
    Held(String),
    /// Closes the connection without a word.
    Close,
    /// Says nothing, and goes on reading.
    Silence,
}

#[derive(Default)]
struct State {
    deliveries: Vec<Delivery>,
    commands: Vec<String>,
    connections: usize,
    once: HashMap<Stage, VecDeque<Answer>>,
    always: HashMap<Stage, Answer>,
    /// How many answers may go out that were told to be held.
    released: usize,
    holding: usize,
}

impl Sink {
    /// A sink without TLS.
    pub fn start() -> Sink {
        Sink::listen(Tls::None)
    }

    /// A sink with STARTTLS.
    pub fn start_tls(certificate: &Certificate) -> Sink {
        Sink::listen(Tls::Offered(certificate.server()))
    }

    /// A sink with implicit TLS.
    pub fn tls(certificate: &Certificate) -> Sink {
        Sink::listen(Tls::Implicit(certificate.server()))
    }

    fn listen(tls: Tls) -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sink = Sink { address: listener.local_addr().unwrap(), state: Arc::default() };
        let state = Arc::clone(&sink.state);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (state, tls) = (Arc::clone(&state), tls.clone());
                std::thread::spawn(move || serve(socket, tls, &state));
            }
        });
        sink
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers the next command of this stage so; several calls queue up.
    pub fn once(&self, stage: Stage, answer: Answer) {
        self.state().once.entry(stage).or_default().push_back(answer);
    }

    /// Answers every command of this stage so, after those told by [`Sink::once`].
    pub fn always(&self, stage: Stage, answer: Answer) {
        self.state().always.insert(stage, answer);
    }

    /// Lets one answer go that is [`Answer::Held`], now or when it comes.
    pub fn release(&self) {
        self.state().released += 1;
        self.state.1.notify_all();
    }

    /// Whether an answer waits for [`Sink::release`].
    pub fn is_holding(&self) -> bool {
        self.state().holding > 0
    }

    /// Forgets what it was told to answer.
    pub fn forget_answers(&self) {
        let mut state = self.state();
        state.once.clear();
        state.always.clear();
    }

    /// The messages so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state().deliveries.clone()
    }

    /// Waits until `count` messages have come, and returns all.
    pub fn wait(&self, count: usize) -> Vec<Delivery> {
        eventually(&format!("{count} messages reach the sink"), || {
            let deliveries = self.deliveries();
            (deliveries.len() >= count).then_some(deliveries)
        })
    }

    /// Every command line of every session, in order, without CRLF. A test that
    /// says "nothing went upstream" looks here.
    pub fn commands(&self) -> Vec<String> {
        self.state().commands.clone()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }
}

impl Delivery {
    /// The message with its dots unstuffed.
    pub fn message(&self) -> Vec<u8> {
        unstuffed(&self.data)
    }

    /// The message as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.message()).into_owned()
    }

    /// The values of a header field, unfolded, in order.
    pub fn header(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let header = text.split("\r\n\r\n").next().unwrap_or_default();
        let header = header.replace("\r\n ", " ").replace("\r\n\t", " ");
        let fields = header.lines().filter_map(|line| line.split_once(':'));
        let fields = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.trim().to_owned()).collect()
    }
}

impl Answer {
    /// A reply of one line.
    pub fn reply(line: &str) -> Answer {
        Answer::Reply(line.to_owned())
    }

    fn is_positive(&self) -> bool {
        match self {
            Answer::Reply(reply) | Answer::ReplyAndClose(reply) | Answer::Held(reply) => {
                reply.starts_with('2')
            }
            Answer::Close | Answer::Silence => false,
        }
    }
}

#[derive(Clone)]
enum Tls {
    None,
    Implicit(Arc<ServerConfig>),
    /// By STARTTLS, which has not come yet.
    Offered(Arc<ServerConfig>),
}

trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

/// One session: the stream, and what this client has said.
struct Session<'a> {
    stream: BufReader<Box<dyn Duplex>>,
    start_tls: Option<Arc<ServerConfig>>,
    state: &'a (Mutex<State>, Condvar),
    helo: String,
    auth: Option<String>,
    mail_from: String,
    rcpt_to: Vec<String>,
}

fn serve(socket: TcpStream, tls: Tls, state: &(Mutex<State>, Condvar)) {
    socket.set_nodelay(true).unwrap();
    state.0.lock().unwrap().connections += 1;
    let (stream, start_tls): (Box<dyn Duplex>, _) = match tls {
        Tls::None => (Box::new(socket), None),
        Tls::Implicit(config) => (Box::new(secured(config, socket)), None),
        Tls::Offered(config) => (Box::new(socket), Some(config)),
    };
    let mut session = Session {
        stream: BufReader::new(stream),
        start_tls,
        state,
        helo: String::new(),
        auth: None,
        mail_from: String::new(),
        rcpt_to: Vec::new(),
    };
    // None is the end: the client or a script closed the connection.
    let _ = session.run();
}

fn secured<S: Read + Write>(config: Arc<ServerConfig>, stream: S) -> StreamOwned<ServerConnection, S> {
    StreamOwned::new(ServerConnection::new(config).unwrap(), stream)
}

impl Session<'_> {
    fn run(&mut self) -> Option<()> {
        self.answer(Stage::Greeting, "220 sink.example.org ESMTP")?;
        loop {
            let line = self.line()?;
            self.state.0.lock().unwrap().commands.push(line.clone());
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            let argument = line.get(verb.len() + 1..).unwrap_or_default();
            match verb.as_str() {
                "EHLO" | "HELO" => {
                    self.helo = argument.to_owned();
                    let usual = match &self.start_tls {
                        Some(_) => EHLO.replacen("\r\n", "\r\n250-STARTTLS\r\n", 1),
                        None => EHLO.to_owned(),
                    };
                    self.answer(Stage::Ehlo, &usual)?;
                }
                "STARTTLS" => self.secure()?,
                "AUTH" => self.authenticate(argument)?,
                "MAIL" => {
                    self.mail_from = after_colon(argument);
                    self.rcpt_to.clear();
                    self.answer(Stage::Mail, "250 2.1.0 Ok")?;
                }
                "RCPT" => {
                    let reply = self.answer(Stage::Rcpt, "250 2.1.5 Ok")?;
                    if reply.starts_with('2') {
                        self.rcpt_to.push(after_colon(argument));
                    }
                }
                "DATA" => self.message()?,
                "RSET" => {
                    self.mail_from.clear();
                    self.rcpt_to.clear();
                    self.answer(Stage::Rset, "250 2.0.0 Ok")?;
                }
                "NOOP" => drop(self.answer(Stage::Other, "250 2.0.0 Ok")?),
                "QUIT" => {
                    self.answer(Stage::Quit, "221 2.0.0 Bye")?;
                    return None;
                }
                _ => drop(self.answer(Stage::Other, "502 5.5.1 Unknown command")?),
            }
        }
    }

    fn secure(&mut self) -> Option<()> {
        let usual = "220 2.0.0 Ready to start TLS";
        let reply = self.answer(Stage::StartTls, usual)?;
        // Told to answer otherwise, it goes on in the clear.
        if let Some(config) = self.start_tls.take_if(|_| reply == usual) {
            let nothing: Box<dyn Duplex> = Box::new(std::io::Cursor::new(Vec::new()));
            let plain = std::mem::replace(&mut self.stream, BufReader::new(nothing)).into_inner();
            self.stream = BufReader::new(Box::new(secured(config, plain)));
        }
        Some(())
    }

    /// AUTH PLAIN with or without an initial response.
    fn authenticate(&mut self, argument: &str) -> Option<()> {
        let mut words = argument.split(' ').skip(1);
        let response = match words.next() {
            Some(response) => response.to_owned(),
            None => {
                self.write("334 ")?;
                self.line()?
            }
        };
        self.auth = Some(response);
        self.answer(Stage::Auth, "235 2.7.0 Authenticated").map(drop)
    }

    fn message(&mut self) -> Option<()> {
        let reply = self.answer(Stage::Data, "354 End data with <CR><LF>.<CR><LF>")?;
        if !reply.starts_with('3') {
            return Some(());
        }
        let mut data = Vec::new();
        if self.plan(Stage::Body, "") == Answer::Close {
            self.stream.read_until(b'\n', &mut data).ok()?;
            return None;
        }
        while !(data.ends_with(b"\r\n.\r\n") || data == b".\r\n") {
            if self.stream.read_until(b'\n', &mut data).ok()? == 0 {
                return None;
            }
        }
        data.truncate(data.len() - 3);
        let number = self.state.0.lock().unwrap().deliveries.len();
        let answer = self.plan(Stage::EndOfData, &format!("250 2.0.0 Ok: queued as S{number}"));
        // On record before it is answered: a test may look as soon as it hears 250.
        self.state.0.lock().unwrap().deliveries.push(Delivery {
            helo: self.helo.clone(),
            auth: self.auth.clone(),
            mail_from: std::mem::take(&mut self.mail_from),
            rcpt_to: std::mem::take(&mut self.rcpt_to),
            data,
            accepted: answer.is_positive(),
        });
        self.carry_out(answer).map(drop)
    }

    /// Answers as scripted for this stage, or with `usual`. Returns what was said;
    /// None when the connection is over.
    fn answer(&mut self, stage: Stage, usual: &str) -> Option<String> {
        let answer = self.plan(stage, usual);
        self.carry_out(answer)
    }

    fn plan(&self, stage: Stage, usual: &str) -> Answer {
        let mut state = self.state.0.lock().unwrap();
        let next = state.once.get_mut(&stage).and_then(VecDeque::pop_front);
        let scripted = next.or_else(|| state.always.get(&stage).cloned());
        scripted.unwrap_or_else(|| Answer::reply(usual))
    }

    fn carry_out(&mut self, answer: Answer) -> Option<String> {
        match answer {
            Answer::Reply(reply) => self.write(&reply).map(|()| reply),
            Answer::ReplyAndClose(reply) => {
                self.write(&reply)?;
                None
            }
            Answer::Held(reply) => {
                let mut state = self.state.0.lock().unwrap();
                state.holding += 1;
                let mut state = self.state.1.wait_while(state, |state| state.released == 0).unwrap();
                (state.released, state.holding) = (state.released - 1, state.holding - 1);
                drop(state);
                self.write(&reply).map(|()| reply)
            }
            Answer::Close => None,
            Answer::Silence => Some(String::new()),
        }
    }

    fn write(&mut self, reply: &str) -> Option<()> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{reply}\r\n").as_bytes()).ok()?;
        stream.flush().ok()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        let line = line.strip_suffix(b"\r\n").unwrap_or(&line);
        Some(String::from_utf8_lossy(line).into_owned())
    }
}

/// What the sink offers by default; [`Stage::Ehlo`] may be told otherwise.
const EHLO: &str = "250-sink.example.org\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n\
    250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n\
    250 AUTH PLAIN LOGIN";

fn after_colon(argument: &str) -> String {
    argument.split_once(':').map_or(argument, |(_, rest)| rest.trim_start()).to_owned()
}
