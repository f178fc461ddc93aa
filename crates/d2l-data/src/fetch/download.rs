//! HTTP, bounded in time.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use futures_core::Stream;
use tokio::runtime::{Builder, Runtime};

use super::Network;
use super::store::{Incoming, Refused};
use crate::error::{Error, Result};
use crate::progress::{Event, Progress};

/// How often a wait looks whether it should go on.
const TICK: Duration = Duration::from_millis(100);
/// How much arrives between two reports.
const REPORT_EVERY: u64 = 128 << 10;

/// Fetches addresses on a private runtime.
pub(crate) struct Downloader<'a> {
    runtime: Option<Runtime>,
    network: &'a Network,
    progress: &'a dyn Progress,
}

/// The bytes of an answer, from a host or through hf-hub.
pub(super) enum Body {
    Host(reqwest::Response),
    Hub(Pin<Box<dyn HubStream>>),
}

/// A stream of chunks as hf-hub gives it, whatever type its chunks have.
pub(super) trait HubStream {
    /// Appends the next chunk to `buffer`; false at the end.
    fn poll_chunk(
        self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> std::task::Poll<std::result::Result<bool, String>>;
}

impl<S, B, E> HubStream for S
where
    S: Stream<Item = std::result::Result<B, E>>,
    B: AsRef<[u8]>,
    E: StdError + 'static,
{
    fn poll_chunk(
        self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> std::task::Poll<std::result::Result<bool, String>> {
        self.poll_next(context).map(|chunk| match chunk {
            Some(Ok(chunk)) => {
                buffer.extend_from_slice(chunk.as_ref());
                Ok(true)
            }
            Some(Err(error)) => Err(chain(&error)),
            None => Ok(false),
        })
    }
}

impl Body {
    async fn chunk(&mut self, buffer: &mut Vec<u8>) -> std::result::Result<bool, String> {
        match self {
            Self::Host(response) => match response.chunk().await {
                Ok(Some(chunk)) => {
                    buffer.extend_from_slice(&chunk);
                    Ok(true)
                }
                Ok(None) => Ok(false),
                Err(error) => Err(chain(&error)),
            },
            Self::Hub(stream) => {
                std::future::poll_fn(|context| stream.as_mut().poll_chunk(context, buffer)).await
            }
        }
    }
}

impl<'a> Downloader<'a> {
    pub(crate) fn new(network: &'a Network, progress: &'a dyn Progress) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Options(format!("cannot start a runtime: {error}")))?;
        Ok(Self {
            runtime: Some(runtime),
            network,
            progress,
        })
    }

    /// An HTTP client for `url` with this downloader's time-outs.
    pub(super) fn client(&self, url: &str) -> std::result::Result<reqwest::Client, Refused> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("d2l-data/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.network.connect_timeout)
            .read_timeout(self.network.stall_timeout);
        let url =
            reqwest::Url::parse(url).map_err(|error| Refused::Because(format!("not an address: {error}")))?;
        if matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            // A proxy has no business between a machine and itself.
            builder = builder.no_proxy();
        }
        builder.build().map_err(|error| Refused::Because(chain(&error)))
    }

    /// Fetches `url` into `incoming`.
    pub(crate) fn get(
        &self,
        url: &str,
        file: &str,
        incoming: &mut Incoming,
    ) -> std::result::Result<(), Refused> {
        let client = self.client(url)?;
        self.fetch(url, file, incoming, async {
            let response = client
                .get(url)
                .send()
                .await
                .map_err(|error| not_answered(&error))?;
            if !response.status().is_success() {
                return Err(Refused::Because(format!(
                    "the server answered {}",
                    response.status()
                )));
            }
            Ok((response.content_length(), Body::Host(response)))
        })
    }

    /// Waits for `request` and writes the body it gives to `incoming`.
    pub(super) fn fetch(
        &self,
        from: &str,
        file: &str,
        incoming: &mut Incoming,
        request: impl Future<Output = std::result::Result<(Option<u64>, Body), Refused>>,
    ) -> std::result::Result<(), Refused> {
        let Some(runtime) = &self.runtime else {
            return Err(Refused::Cancelled);
        };
        self.progress.event(&Event::Start {
            file: file.to_owned(),
            from: from.to_owned(),
        });
        runtime.block_on(self.receive(file, incoming, request))
    }

    async fn receive(
        &self,
        file: &str,
        incoming: &mut Incoming,
        request: impl Future<Output = std::result::Result<(Option<u64>, Body), Refused>>,
    ) -> std::result::Result<(), Refused> {
        let deadline = Instant::now() + self.network.file_timeout;
        let patience = self.network.connect_timeout + self.network.stall_timeout;
        let (total, mut body) = self.watch(patience, deadline, request).await??;
        if let Some(total) = total.filter(|&total| total > incoming.limit()) {
            let reason = format!(
                "the server announces {total} bytes; the file has {} at most",
                incoming.limit()
            );
            return Err(Refused::Because(reason));
        }
        let mut reported = 0;
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let chunk = self
                .watch(self.network.stall_timeout, deadline, body.chunk(&mut buffer))
                .await?;
            let more = chunk.map_err(|error| {
                Refused::Because(format!("broke off after {} bytes: {error}", incoming.bytes()))
            })?;
            if !more {
                break;
            }
            incoming.write(&buffer)?;
            if incoming.bytes() - reported >= REPORT_EVERY {
                reported = incoming.bytes();
                self.report(file, reported, total);
            }
        }
        self.report(file, incoming.bytes(), total);
        match total {
            Some(total) if total != incoming.bytes() => Err(Refused::Because(format!(
                "the server announced {total} bytes and sent {}",
                incoming.bytes()
            ))),
            _ => Ok(()),
        }
    }

    fn report(&self, file: &str, received: u64, total: Option<u64>) {
        self.progress.event(&Event::Bytes {
            file: file.to_owned(),
            received,
            total,
        });
    }

    /// Waits for `future`, but not beyond `patience` or `deadline`, nor after a request to stop.
    async fn watch<T>(
        &self,
        patience: Duration,
        deadline: Instant,
        future: impl Future<Output = T>,
    ) -> std::result::Result<T, Refused> {
        let mut future = pin!(future);
        let start = Instant::now();
        loop {
            if self.progress.cancelled() {
                return Err(Refused::Cancelled);
            }
            if Instant::now() >= deadline {
                let limit = self.network.file_timeout.as_secs_f64();
                return Err(Refused::Because(format!(
                    "not complete after {limit:.1} s: given up"
                )));
            }
            if let Ok(output) = tokio::time::timeout(TICK.min(patience), future.as_mut()).await {
                return Ok(output);
            }
            if start.elapsed() >= patience {
                let silence = patience.as_secs_f64();
                return Err(Refused::Because(format!(
                    "nothing came for {silence:.1} s: given up"
                )));
            }
        }
    }
}

impl Drop for Downloader<'_> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Does not wait for a name look-up that hangs in a helper thread.
            runtime.shutdown_background();
        }
    }
}

/// A request without an answer; sets apart that there was no connection.
pub(super) fn not_answered(error: &(dyn StdError + 'static)) -> Refused {
    let (mut cause, mut no_connection) = (error, false);
    loop {
        no_connection |= cause
            .downcast_ref::<reqwest::Error>()
            .is_some_and(reqwest::Error::is_connect);
        match cause.source() {
            Some(deeper) => cause = deeper,
            None if no_connection => return Refused::Unreachable(format!("cannot be reached: {cause}")),
            None => return Refused::Because(chain(error)),
        }
    }
}

/// An error with its causes, each said once.
pub(super) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
