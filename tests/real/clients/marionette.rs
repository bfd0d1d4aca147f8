//! The little of Mozilla's Marionette protocol that runs a script inside Thunderbird: JSON
//! behind its length, over TCP.
//! <https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html>

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long an act may take.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Marionette {
    stream: TcpStream,
    received: Vec<u8>,
    number: u64,
}

impl Marionette {
    /// Opens a session with the rights of Thunderbird itself.
    pub(crate) fn connect(port: u16) -> Marionette {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut marionette = Marionette { stream, received: Vec::new(), number: 0 };
        marionette.receive();
        // Dialogs belong to the script.
        let capabilities = json!({"unhandledPromptBehavior": "ignore"});
        marionette.call("WebDriver:NewSession", &capabilities).unwrap();
        marionette.call("Marionette:SetContext", &json!({"value": "chrome"})).unwrap();
        marionette
    }

    /// Runs the body of an asynchronous function and returns what it returns. It is left alone
    /// meanwhile, and asked for: where a dialog opens, Marionette gives up what it waits for.
    pub(crate) fn run(&mut self, body: &str, arguments: &[Value]) -> Result<Value, String> {
        const PLACE: &str = "const place = Services.wm.getMostRecentWindow('mail:3pane');";
        let begin = format!(
            "{PLACE} place.outcome = null; (async (...args) => {{ {body} }})(...arguments).then(\
             value => place.outcome = {{value: value ?? null}},\
             error => place.outcome = {{error: `${{error}}\n${{error.stack}}`}});"
        );
        let deadline = Instant::now() + PATIENCE;
        self.execute(&begin, arguments, deadline)?;
        loop {
            let mut outcome = self.execute(&format!("{PLACE} return place.outcome;"), &[], deadline)?;
            if let Some(error) = outcome["error"].as_str() {
                return Err(error.to_owned());
            }
            if outcome.is_object() {
                return Ok(outcome["value"].take());
            }
            if Instant::now() > deadline {
                return Err("it takes too long".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs the body of a function, which is not begun while a dialog is open.
    fn execute(&mut self, body: &str, arguments: &[Value], deadline: Instant) -> Result<Value, String> {
        let script = json!({"script": body, "args": arguments, "sandbox": "system", "newSandbox": false});
        loop {
            match self.call("WebDriver:ExecuteScript", &script) {
                Ok(mut told) => return Ok(told["value"].take()),
                Err(error) if error.contains("Unexpected") && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn call(&mut self, command: &str, parameters: &Value) -> Result<Value, String> {
        self.number += 1;
        let packet = json!([0, self.number, command, parameters]).to_string();
        write!(self.stream, "{}:{packet}", packet.len()).unwrap();
        let mut answer = self.receive();
        assert_eq!(answer[1], self.number, "{answer}");
        match answer[2]["message"].as_str() {
            Some(message) => Err(format!("{command}: {message}")),
            None => Ok(answer[3].take()),
        }
    }

    fn receive(&mut self) -> Value {
        let colon = self.fill(|received| received.iter().position(|octet| *octet == b':'));
        let length: usize = std::str::from_utf8(&self.received[..colon]).unwrap().parse().unwrap();
        let end = colon + 1 + length;
        self.fill(|received| (received.len() >= end).then_some(()));
        let packet: Vec<u8> = self.received.drain(..end).collect();
        serde_json::from_slice(&packet[colon + 1..]).unwrap()
    }

    /// Reads until `enough` is content.
    fn fill<T>(&mut self, enough: impl Fn(&[u8]) -> Option<T>) -> T {
        let mut octets = [0; 4096];
        loop {
            if let Some(found) = enough(&self.received) {
                return found;
            }
            let count = self.stream.read(&mut octets).expect("Thunderbird answers");
            assert!(count > 0, "Thunderbird has gone");
            self.received.extend_from_slice(&octets[..count]);
        }
    }
}
