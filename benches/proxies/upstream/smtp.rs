//! The fake submission host: takes every message and forgets it.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const EHLO: &str = "250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-AUTH PLAIN LOGIN\r\n\
    250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n";

const END: &[u8] = b"\r\n.\r\n";

/// Answers one connection until it ends.
pub async fn serve(socket: TcpStream) -> io::Result<()> {
    let mut socket = BufReader::with_capacity(4096, socket);
    let mut line = String::new();
    let mut queued = 0_u32;
    say(&mut socket, "220 mail.example.org ESMTP\r\n").await?;
    loop {
        line.clear();
        if socket.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut words = line.split_ascii_whitespace();
        let verb = words.next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => say(&mut socket, EHLO).await?,
            "AUTH" => {
                let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
                let asked = if mechanism == "LOGIN" { 2 } else { 1 };
                for _ in words.count()..asked {
                    say(&mut socket, "334 \r\n").await?;
                    line.clear();
                    socket.read_line(&mut line).await?;
                }
                say(&mut socket, "235 2.7.0 Authentication successful\r\n").await?;
            }
            "DATA" => {
                say(&mut socket, "354 End data with <CR><LF>.<CR><LF>\r\n").await?;
                swallow(&mut socket).await?;
                queued += 1;
                say(&mut socket, &format!("250 2.0.0 Ok: queued as {queued:010X}\r\n")).await?;
            }
            "QUIT" => return say(&mut socket, "221 2.0.0 Bye\r\n").await,
            "MAIL" | "RCPT" | "RSET" | "NOOP" | "HELO" => say(&mut socket, "250 2.0.0 Ok\r\n").await?,
            _ => say(&mut socket, "502 5.5.2 Unknown command\r\n").await?,
        }
    }
}

async fn say(socket: &mut BufReader<TcpStream>, text: &str) -> io::Result<()> {
    socket.get_mut().write_all(text.as_bytes()).await
}

/// Reads to the end of the message. Nothing may be pipelined after it (RFC 2920 section
/// 3.1), so that the end of data is also the end of what has arrived.
async fn swallow(socket: &mut BufReader<TcpStream>) -> io::Result<()> {
    let mut tail = *b"\0\0\0\r\n";
    let mut chunk = vec![0; 256 << 10];
    while tail != END {
        let count = socket.read(&mut chunk).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(last) = chunk[..count].last_chunk() {
            tail = *last;
        } else {
            tail.rotate_left(count);
            tail[END.len() - count..].copy_from_slice(&chunk[..count]);
        }
    }
    Ok(())
}
