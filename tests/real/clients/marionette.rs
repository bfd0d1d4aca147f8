//! The little of Mozilla's Marionette protocol that runs a script inside Thunderbird: JSON
//! behind its length, over TCP.
//! <https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html>

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// How long a script may take, in seconds. Marionette's own limit is 30.
const PATIENCE: u64 = 90;

pub(crate) struct Marionette {
    stream: TcpStream,
    received: Vec<u8>,
    number: u64,
}

impl Marionette {
    /// Opens a session with the rights of Thunderbird itself.
    pub(crate) fn connect(port: u16) -> Marionette {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // The script's own limit comes first, and says more.
        stream.set_read_timeout(Some(Duration::from_secs(PATIENCE + 10))).unwrap();
        let mut marionette = Marionette { stream, received: Vec::new(), number: 0 };
        marionette.receive();
        // Dialogs belong to the script.
        let capabilities = json!({"capabilities": {"alwaysMatch": {"unhandledPromptBehavior": "ignore"}}});
        marionette.call("WebDriver:NewSession", &capabilities).unwrap();
        marionette.call("Marionette:SetContext", &json!({"value": "chrome"})).unwrap();
        marionette.call("WebDriver:SetTimeouts", &json!({"script": PATIENCE * 1000})).unwrap();
        marionette
    }

    /// Runs the body of an asynchronous function and returns what it returns.
    pub(crate) fn run(&mut self, body: &str, arguments: &[Value]) -> Result<Value, String> {
        let script = format!(
            "const done = arguments[arguments.length - 1];\
             (async (...args) => {{ {body} }})(...Array.from(arguments).slice(0, -1)).then(\
             value => done({{value: value ?? null}}), error => done({{error: `${{error}}\n${{error.stack}}`}}));"
        );
        let parameters =
            json!({"script": script, "args": arguments, "sandbox": "system", "newSandbox": false});
        let mut told = self.call("WebDriver:ExecuteAsyncScript", &parameters)?;
        match told["value"]["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(told["value"]["value"].take()),
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
