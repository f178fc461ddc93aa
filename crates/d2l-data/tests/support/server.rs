//! A web server for tests: plain HTTP over std, each path with its own behaviour.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is answered to a path.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Status 200, with the right length.
    Content(Vec<u8>),
    /// Status 200 and more headers.
    WithHeaders(Vec<u8>, Vec<(&'static str, String)>),
    /// Status 200 with this announced length, then the content and the end of the connection.
    Announce(u64, Vec<u8>),
    /// Status 200 with no length at all.
    Unannounced(Vec<u8>),
    /// The content's first half, then silence.
    Stall(Vec<u8>),
    /// A byte now and then, for ever.
    Drip,
    /// Silence from the start.
    Silence,
    /// Another status, with a page.
    Status(u16, &'static str),
    /// To another path of this server.
    Redirect(&'static str, Vec<(&'static str, String)>),
}

pub(crate) struct Server {
    pub(crate) base: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves until the test process ends.
    pub(crate) fn start(answers: impl IntoIterator<Item = (String, Answer)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let answers: Arc<HashMap<String, Answer>> = Arc::new(answers.into_iter().collect());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, log) = (answers.clone(), log.clone());
                // A client that goes away is the point of some tests.
                std::thread::spawn(move || drop(serve(stream, &answers, &log)));
            }
        });
        Self { base, requests }
    }

    /// "METHOD path" of every request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    answers: &HashMap<String, Answer>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    log.lock().unwrap().push(format!("{method} {path}"));
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
    }
    let answer = answers.get(path.trim_start_matches('/')).cloned();
    let head_only = method == "HEAD";
    let mut out = stream;
    let mut send = |status: &str, headers: &[(&str, String)], content: &[u8]| -> std::io::Result<()> {
        write!(out, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
        for (name, value) in headers {
            write!(out, "{name}: {value}\r\n")?;
        }
        out.write_all(b"\r\n")?;
        if !head_only {
            out.write_all(content)?;
        }
        out.flush()
    };
    let length = |length: usize| ("Content-Length", length.to_string());
    match answer.unwrap_or(Answer::Status(404, "<html>not here</html>")) {
        Answer::Content(content) => send("200 OK", &[length(content.len())], &content)?,
        Answer::WithHeaders(content, mut headers) => {
            headers.push(length(content.len()));
            send("200 OK", &headers, &content)?;
        }
        Answer::Announce(bytes, content) => send("200 OK", &[length(bytes as usize)], &content)?,
        Answer::Unannounced(content) => send("200 OK", &[], &content)?,
        Answer::Stall(content) => {
            send("200 OK", &[length(content.len())], &content[..content.len() / 2])?;
            std::thread::sleep(Duration::from_secs(30));
        }
        Answer::Drip => {
            send("200 OK", &[length(1000)], b"")?;
            for _ in 0..300 {
                std::thread::sleep(Duration::from_millis(50));
                out.write_all(b"x")?;
            }
        }
        Answer::Silence => std::thread::sleep(Duration::from_secs(30)),
        Answer::Status(status, page) => send(
            &format!("{status} Some Reason"),
            &[length(page.len())],
            page.as_bytes(),
        )?,
        Answer::Redirect(to, mut headers) => {
            headers.extend([("Location", to.to_owned()), length(0)]);
            send("302 Found", &headers, b"")?;
        }
    }
    Ok(())
}
