//! Measures our kernels: `kernel-bench list` prints the cases, one JSON value (a `Listing`) per
//! line; `kernel-bench serve THREADS`
//! answers requests from standard input, one per line, in a pool of that many threads.
#![allow(clippy::print_stdout)]

use anyhow::{Context, Result, bail};
use d2l_benches::{Answer, Request, cases, measure};
use std::io::{BufRead, Write};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => {
            for case in cases() {
                println!("{}", serde_json::to_string(&case.listing())?);
            }
            Ok(())
        }
        ["serve", threads] => serve(threads.parse().context("THREADS is not a number")?),
        _ => bail!("usage: kernel-bench list | kernel-bench serve THREADS"),
    }
}

fn serve(threads: usize) -> Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?).context("a request")?;
        let seconds = pool.install(|| measure(&request.case, &request.variant, request.seconds))?;
        serde_json::to_writer(&mut out, &Answer { seconds })?;
        writeln!(out)?;
        out.flush()?;
    }
    Ok(())
}
