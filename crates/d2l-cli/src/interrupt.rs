//! Ctrl-C and SIGTERM: the first asks the work to stop, the second ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::failure::{Doing, Result};
use crate::ui::to_stderr;

/// The exit code of an interrupted command.
pub(crate) const INTERRUPTED: u8 = 130;

/// The one flag of this process, however many runs it does.
static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Watches for the signals from here on. The flag becomes true with the first one; it is the same at every call.
///
/// SIGHUP is left alone: its default ends a run whose terminal has gone (the last checkpoint stays), and under
/// `nohup` it must stay ignored.
pub(crate) fn watch() -> Result<Arc<AtomicBool>> {
    watch_saying("\nstopping after this step and writing a checkpoint; once more stops at once")
}

/// As [`watch`]; `text` is said at the first signal.
pub(crate) fn watch_saying(text: &'static str) -> Result<Arc<AtomicBool>> {
    if let Some(stop) = STOP.get() {
        return Ok(Arc::clone(stop));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    on_signal(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        to_stderr(text);
    })
    .doing(|| "watching for Ctrl-C")?;
    Ok(Arc::clone(STOP.get_or_init(|| stop)))
}

#[cfg(unix)]
fn on_signal(mut act: impl FnMut() + Send + 'static) -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                act();
            }
        })?;
    Ok(())
}

#[cfg(not(unix))]
fn on_signal(act: impl FnMut() + Send + 'static) -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(act)
}
