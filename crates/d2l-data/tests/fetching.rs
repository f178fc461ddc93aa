//! Downloads against a server on this machine: the right file, and every way in which it can be
//! wrong; whatever happens, nothing wrong stays in the cache.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use d2l_data::datasets::{HubFiles, HubSpec, ParquetFile};
use d2l_data::fetch::{From, fetch_to};
use d2l_data::source::load;
use d2l_data::{Error, Event, Progress, Silent, SourceKind, SourceOptions};
use support::server::{Answer, Server};
use support::{Recorder, STEMS, contents, directory, files_under, gzip, impatient, nowhere, spec};

fn good() -> Vec<(String, Answer)> {
    let files = STEMS.iter().zip(contents());
    files
        .map(|(stem, content)| (format!("{stem}.gz"), Answer::Content(gzip(&content, 9))))
        .collect()
}

/// All right but the training images, which get `answer`.
fn with_images(answer: Answer) -> Vec<(String, Answer)> {
    let mut answers = good();
    answers[0].1 = answer;
    answers
}

fn images() -> Vec<u8> {
    gzip(&contents()[0], 9)
}

/// Fetches from a server where only the training images are wrong; gives the message, after
/// checking that nothing of them is left.
fn refused(answer: Answer) -> String {
    let server = Server::start(with_images(answer));
    let cache = tempfile::tempdir().unwrap();
    let spec = spec(Some(&server.base));
    let start = Instant::now();
    let error = fetch_to(&spec, cache.path(), &From::Network, &impatient(), &Silent).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(15), "bounded in time");
    let names: Vec<String> = files_under(cache.path())
        .iter()
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "t10k-images-idx3-ubyte.gz",
            "t10k-labels-idx1-ubyte.gz",
            "train-labels-idx1-ubyte.gz"
        ]
    );
    let message = error.to_string();
    assert!(
        message.contains(&format!("{}train-images-idx3-ubyte.gz", server.base)),
        "{message}"
    );
    message
}

#[test]
fn the_right_files_are_stored_and_loaded() {
    let server = Server::start(good());
    let cache = tempfile::tempdir().unwrap();
    let spec = spec(Some(&server.base));
    let progress = Recorder::default();
    let options = SourceOptions {
        cache_dir: Some(cache.path().to_owned()),
        offline: false,
        network: impatient(),
        progress: &progress,
        ..nowhere()
    };
    let data = load(&spec, &options).unwrap();
    assert_eq!(data.provenance.kind, SourceKind::Host);
    assert!(
        data.provenance.source.contains(&server.base),
        "{}",
        data.provenance.source
    );
    assert!(data.provenance.is_official());
    assert_eq!(files_under(cache.path()).len(), 4);
    let text = progress.text();
    assert!(
        text.contains("not there") && text.contains("fetching train-images"),
        "{text}"
    );
    let received =
        progress.0.lock().unwrap().iter().any(
            |event| matches!(event, Event::Bytes { received, total: Some(total), .. } if received == total),
        );
    assert!(received);

    // The second time nothing is asked of the server.
    let before = server.requests().len();
    let again = load(&spec, &options).unwrap();
    assert_eq!(again.provenance.kind, SourceKind::Cache);
    assert_eq!(again.provenance.digest(), data.provenance.digest());
    assert_eq!(server.requests().len(), before);
    let fetched = fetch_to(&spec, cache.path(), &From::Network, &impatient(), &Silent).unwrap();
    assert_eq!(fetched.kind, SourceKind::Cache);
    assert_eq!(server.requests().len(), before);
}

#[test]
fn a_mirror_that_compresses_anew_or_not_at_all_will_do() {
    for content in [gzip(&contents()[0], 1), contents()[0].clone()] {
        let server = Server::start(with_images(Answer::Unannounced(content)));
        let cache = tempfile::tempdir().unwrap();
        fetch_to(
            &spec(Some(&server.base)),
            cache.path(),
            &From::Network,
            &impatient(),
            &Silent,
        )
        .unwrap();
        assert_eq!(files_under(cache.path()).len(), 4);
    }
}

#[test]
fn a_wrong_digest_is_refused() {
    let mut wrong = contents()[0].clone();
    *wrong.last_mut().unwrap() ^= 1;
    let message = refused(Answer::Content(gzip(&wrong, 9)));
    assert!(message.contains("not the official one (SHA-256"), "{message}");
}

#[test]
fn a_broken_gzip_is_refused() {
    let mut broken = images();
    let middle = broken.len() / 2;
    broken[middle] ^= 0x40;
    let message = refused(Answer::Content(broken));
    assert!(message.contains("is not the file"), "{message}");
}

#[test]
fn wrong_lengths_are_refused() {
    let content = images();
    let message = refused(Answer::Announce(content.len() as u64 + 100, content.clone()));
    assert!(message.contains("broke off after"), "{message}");
    let message = refused(Answer::Unannounced(content[..content.len() - 9].to_vec()));
    assert!(message.contains("is not the file"), "{message}");
    let message = refused(Answer::Announce(1 << 40, content.clone()));
    assert!(message.contains("announces 1099511627776 bytes"), "{message}");
    let message = refused(Answer::Unannounced([content, vec![7; 200_000]].concat()));
    assert!(message.contains("longer than"), "{message}");
    let message = refused(Answer::Content(Vec::new()));
    assert!(message.contains("it is empty"), "{message}");
}

#[test]
fn a_web_page_is_refused() {
    let page = b"\n<!DOCTYPE html><html><body>Please log in</body></html>".to_vec();
    let message = refused(Answer::Content(page));
    assert!(message.contains("a web page came instead"), "{message}");
    let message = refused(Answer::Status(503, "<html>busy</html>"));
    assert!(message.contains("answered 503"), "{message}");
}

#[test]
fn a_server_that_stalls_is_given_up() {
    let message = refused(Answer::Stall(images()));
    assert!(
        message.contains("nothing came for 1.0 s") || message.contains("timed out"),
        "{message}"
    );
    refused(Answer::Silence);
}

#[test]
fn a_server_that_drips_is_given_up_in_all() {
    let server = Server::start(with_images(Answer::Drip));
    let cache = tempfile::tempdir().unwrap();
    let network = d2l_data::Network {
        file_timeout: Duration::from_millis(700),
        ..impatient()
    };
    let start = Instant::now();
    let error = fetch_to(
        &spec(Some(&server.base)),
        cache.path(),
        &From::Network,
        &network,
        &Silent,
    )
    .unwrap_err();
    assert!(error.to_string().contains("not complete after 0.7 s"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_next_host_is_tried_and_every_failure_is_listed() {
    let bad = Server::start([]);
    let good = Server::start(good());
    let mut tiny = spec(None);
    tiny.hosts = vec![bad.base.clone().leak() as &str, good.base.clone().leak()].leak();
    let cache = tempfile::tempdir().unwrap();
    let progress = Recorder::default();
    fetch_to(&tiny, cache.path(), &From::Network, &impatient(), &progress).unwrap();
    assert_eq!(progress.text().matches("the server answered 404").count(), 4);
    assert_eq!(files_under(cache.path()).len(), 4);

    tiny.hosts = vec![bad.base.clone().leak() as &str, "http://127.0.0.1:1/"].leak();
    let cache = tempfile::tempdir().unwrap();
    let error = fetch_to(&tiny, cache.path(), &From::Network, &impatient(), &Silent).unwrap_err();
    let Error::NoSource { tried, .. } = &error else {
        panic!("{error}")
    };
    // Four files that one has not; one try of a host that does not answer the door.
    assert_eq!(tried.len(), 5, "{error}");
    assert!(
        tried[4].contains("127.0.0.1:1/train-images-idx3-ubyte.gz: cannot be reached: "),
        "{error}"
    );
    assert!(!cache.path().join("tiny").exists(), "no empty directory is left");
}

#[test]
fn a_damaged_cache_is_noticed_and_mended() {
    let server = Server::start(good());
    let spec = spec(Some(&server.base));
    let cache = tempfile::tempdir().unwrap();
    fetch_to(&spec, cache.path(), &From::Network, &impatient(), &Silent).unwrap();
    let victim = cache.path().join("tiny/train-labels-idx1-ubyte.gz");
    std::fs::write(&victim, b"garbage").unwrap();

    // Offline it is an error that names the file, even where there would be a sample.
    let options = SourceOptions {
        cache_dir: Some(cache.path().to_owned()),
        ..nowhere()
    };
    let error = load(&spec, &options).unwrap_err().to_string();
    assert!(
        error.contains("train-labels-idx1-ubyte.gz: not an IDX file"),
        "{error}"
    );

    let progress = Recorder::default();
    let options = SourceOptions {
        offline: false,
        network: impatient(),
        progress: &progress,
        ..options
    };
    let data = load(&spec, &options).unwrap();
    assert!(data.provenance.is_official());
    assert!(progress.text().contains("not an IDX file"));
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|r| r.contains("train-labels"))
            .count(),
        2
    );
}

#[test]
fn two_fetches_at_once_are_safe() {
    let server = Server::start(good());
    let spec = spec(Some(&server.base));
    let cache = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| fetch_to(&spec, cache.path(), &From::Network, &impatient(), &Silent).unwrap());
        }
    });
    assert_eq!(files_under(cache.path()).len(), 4);
    let options = SourceOptions {
        cache_dir: Some(cache.path().to_owned()),
        ..nowhere()
    };
    assert!(load(&spec, &options).unwrap().provenance.is_official());
}

#[test]
fn a_request_to_stop_is_heard_while_a_server_is_silent() {
    struct Stop(Instant);
    impl Progress for Stop {
        fn event(&self, _: &Event) {}
        fn cancelled(&self) -> bool {
            self.0.elapsed() > Duration::from_millis(300)
        }
    }
    let server = Server::start(with_images(Answer::Silence));
    let cache = tempfile::tempdir().unwrap();
    let network = d2l_data::Network::default();
    let start = Instant::now();
    let error = fetch_to(
        &spec(Some(&server.base)),
        cache.path(),
        &From::Network,
        &network,
        &Stop(start),
    )
    .unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(files_under(cache.path()).is_empty());
}

#[test]
fn a_fetch_inside_an_async_runtime_works() {
    let server = Server::start(good());
    let cache = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let spec = spec(Some(&server.base));
    runtime.block_on(async {
        fetch_to(&spec, cache.path(), &From::Network, &impatient(), &Silent).unwrap();
    });
}

#[test]
fn from_a_directory_and_from_an_address() {
    let there = directory(false, |_| {});
    let cache = tempfile::tempdir().unwrap();
    let from = From::Directory(there.path().to_owned());
    let fetched = fetch_to(&spec(None), cache.path(), &from, &impatient(), &Silent).unwrap();
    assert_eq!(fetched.kind, SourceKind::DataDir);
    assert_eq!(files_under(&fetched.directory).len(), 4);

    let server = Server::start(good());
    let cache = tempfile::tempdir().unwrap();
    // Without the final slash.
    let from = From::Url(server.base.trim_end_matches('/').to_owned());
    fetch_to(&spec(None), cache.path(), &from, &impatient(), &Silent).unwrap();
    assert_eq!(files_under(cache.path()).len(), 4);

    let other = directory(true, |path| {
        std::fs::write(path.join(format!("{}.gz", STEMS[1])), b"x").unwrap()
    });
    let cache = tempfile::tempdir().unwrap();
    let from = From::Directory(other.path().to_owned());
    let error = fetch_to(&spec(None), cache.path(), &from, &impatient(), &Silent).unwrap_err();
    assert!(
        error.to_string().contains("missing train-labels-idx1-ubyte"),
        "{error}"
    );
    assert_eq!(files_under(cache.path()).len(), 3);
}

#[test]
fn nowhere_and_a_directory_that_cannot_be() {
    let cache = tempfile::tempdir().unwrap();
    let error = fetch_to(&spec(None), cache.path(), &From::Nowhere, &impatient(), &Silent).unwrap_err();
    assert!(error.to_string().contains("offline"), "{error}");
    assert!(!cache.path().join("tiny").exists());
    let file = cache.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let error = fetch_to(&spec(None), &file, &From::Network, &impatient(), &Silent).unwrap_err();
    assert!(error.to_string().contains("cannot make the directory"), "{error}");
}

#[test]
fn what_a_killed_fetch_left_is_removed_in_time() {
    let server = Server::start(good());
    let cache = tempfile::tempdir().unwrap();
    let tiny = cache.path().join("tiny");
    std::fs::create_dir(&tiny).unwrap();
    let (old, young) = (tiny.join(".d2l-old.part"), tiny.join(".d2l-young.part"));
    std::fs::write(&young, b"").unwrap();
    let file = std::fs::File::create(&old).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(2 * 24 * 3600))
        .unwrap();
    fetch_to(
        &spec(Some(&server.base)),
        cache.path(),
        &From::Network,
        &impatient(),
        &Silent,
    )
    .unwrap();
    assert!(!old.exists() && young.exists());
}

const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

fn hub_path(file: &str) -> String {
    format!("datasets/somebody/tiny/resolve/{REVISION}/{file}")
}

/// The headers of the Hub's answer to a `resolve` request.
fn hub_headers(content: &[u8]) -> Vec<(&'static str, String)> {
    vec![
        ("X-Repo-Commit", REVISION.to_owned()),
        ("X-Linked-Size", content.len().to_string()),
        ("X-Linked-Etag", format!("\"{}\"", support::sha256(content))),
        ("ETag", format!("\"{}\"", support::sha256(content))),
    ]
}

fn hub_spec() -> d2l_data::DatasetSpec {
    let files = HubFiles::Idx([
        "train-images.idx3-ubyte",
        "train-labels.idx1-ubyte",
        "t10k-images.idx3-ubyte",
        "t10k-labels.idx1-ubyte",
    ]);
    let hub = Some(HubSpec {
        repository: "somebody/tiny",
        revision: REVISION,
        files,
    });
    d2l_data::DatasetSpec { hub, ..spec(None) }
}

fn hub_answers() -> Vec<(String, Answer)> {
    let HubFiles::Idx(names) = hub_spec().hub.unwrap().files else {
        unreachable!()
    };
    let mut answers = Vec::new();
    for (name, content) in names.iter().zip(contents()) {
        let path = hub_path(name);
        let headers = hub_headers(&content);
        if name.contains("train-images") {
            // As for a file in large storage: to another place.
            let to: &'static str = "/storage/train-images";
            answers.push((path, Answer::Redirect(to, headers)));
            answers.push(("storage/train-images".to_owned(), Answer::Content(content)));
        } else {
            answers.push((path, Answer::WithHeaders(content, headers)));
        }
    }
    answers
}

fn hub_network(server: &Server) -> d2l_data::Network {
    d2l_data::Network {
        hub_endpoint: Some(server.base.trim_end_matches('/').to_owned()),
        ..impatient()
    }
}

#[test]
fn the_hub_serves_idx_files_through_hf_hub() {
    let server = Server::start(hub_answers());
    let cache = tempfile::tempdir().unwrap();
    let fetched = fetch_to(
        &hub_spec(),
        cache.path(),
        &From::Network,
        &hub_network(&server),
        &Silent,
    )
    .unwrap();
    assert_eq!(fetched.kind, SourceKind::Hub);
    assert!(fetched.source.contains(REVISION), "{}", fetched.source);
    let names = files_under(cache.path());
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(
        server
            .requests()
            .iter()
            .all(|r| r.contains(REVISION) || r.contains("storage")),
        "the pinned commit"
    );
    let options = SourceOptions {
        cache_dir: Some(cache.path().to_owned()),
        ..nowhere()
    };
    assert!(load(&hub_spec(), &options).unwrap().provenance.is_official());
}

#[test]
fn what_the_hub_sends_wrong_is_refused_and_the_hosts_are_tried() {
    let wrong = |answer: Answer| {
        let mut answers = hub_answers();
        answers.retain(|(path, _)| !path.contains("train-labels"));
        answers.push((hub_path("train-labels.idx1-ubyte"), answer));
        let hub = Server::start(answers);
        let host = Server::start(good());
        let mut spec = hub_spec();
        spec.hosts = vec![host.base.clone().leak() as &str].leak();
        let cache = tempfile::tempdir().unwrap();
        let progress = Recorder::default();
        fetch_to(&spec, cache.path(), &From::Network, &hub_network(&hub), &progress).unwrap();
        assert_eq!(files_under(cache.path()).len(), 4);
        assert_eq!(
            host.requests(),
            ["GET /train-labels-idx1-ubyte.gz"],
            "only what the Hub did not give"
        );
        progress.text()
    };
    let content = contents()[1].clone();
    let mut changed = content.clone();
    *changed.last_mut().unwrap() = 0;
    let text = wrong(Answer::WithHeaders(changed, hub_headers(&content)));
    assert!(text.contains("not the official one"), "{text}");
    let text = wrong(Answer::WithHeaders(
        b"<html>log in</html>".to_vec(),
        hub_headers(&content),
    ));
    assert!(text.contains("web page") || text.contains("announced"), "{text}");
    wrong(Answer::Status(503, "<html>busy</html>"));
    wrong(Answer::Status(404, "{}"));
    wrong(Answer::Silence);
    wrong(Answer::Stall(content));
}

/// Parquet as the Hub keeps it, made by `golden/parquet.py`.
#[test]
fn the_hubs_parquet_becomes_the_official_idx_files() {
    let files = [
        include_bytes!("golden/train.parquet").to_vec(),
        include_bytes!("golden/test.parquet").to_vec(),
    ];
    let hub_spec = |files: &[Vec<u8>; 2]| {
        let [train, test] =
            [("train.parquet", &files[0]), ("test.parquet", &files[1])].map(|(path, content)| ParquetFile {
                path,
                bytes: content.len() as u64,
                sha256: support::sha256(content),
            });
        let files = HubFiles::Parquet { train, test };
        let hub = Some(HubSpec {
            repository: "somebody/tiny",
            revision: REVISION,
            files,
        });
        d2l_data::DatasetSpec { hub, ..spec(None) }
    };
    let serve = |files: &[Vec<u8>; 2]| {
        let names = ["train.parquet", "test.parquet"].map(hub_path).into_iter();
        Server::start(
            names
                .zip(files)
                .map(|(path, content)| (path, Answer::WithHeaders(content.clone(), hub_headers(content)))),
        )
    };
    let server = serve(&files);
    let cache = tempfile::tempdir().unwrap();
    fetch_to(
        &hub_spec(&files),
        cache.path(),
        &From::Network,
        &hub_network(&server),
        &Silent,
    )
    .unwrap();
    assert_eq!(files_under(cache.path()).len(), 4);
    let options = SourceOptions {
        cache_dir: Some(cache.path().to_owned()),
        ..nowhere()
    };
    assert!(
        load(&hub_spec(&files), &options)
            .unwrap()
            .provenance
            .is_official()
    );

    // Another file than the one expected.
    let mut changed = files.clone();
    changed[0][100] ^= 1;
    let server = serve(&changed);
    let cache = tempfile::tempdir().unwrap();
    let error = fetch_to(
        &hub_spec(&files),
        cache.path(),
        &From::Network,
        &hub_network(&server),
        &Silent,
    )
    .unwrap_err();
    assert!(error.to_string().contains("is not the file ("), "{error}");
    assert_eq!(files_under(cache.path()).len(), 2);

    // One that is as expected but no Parquet.
    let broken = [vec![b'x'; 1000], files[1].clone()];
    let server = serve(&broken);
    let cache = tempfile::tempdir().unwrap();
    let error = fetch_to(
        &hub_spec(&broken),
        cache.path(),
        &From::Network,
        &hub_network(&server),
        &Silent,
    )
    .unwrap_err();
    assert!(error.to_string().contains("cannot be read as Parquet"), "{error}");
    assert_eq!(files_under(cache.path()).len(), 2);
}

#[test]
fn offline_touches_no_network() {
    let server = Server::start(hub_answers());
    let cache = tempfile::tempdir().unwrap();
    let options = SourceOptions {
        cache_dir: Some(cache.path().to_owned()),
        network: hub_network(&server),
        ..nowhere()
    };
    let error = load(&hub_spec(), &options).unwrap_err().to_string();
    assert!(error.contains("offline"), "{error}");
    assert!(server.requests().is_empty());
    assert!(files_under(cache.path()).is_empty());
}

/// A full disk, by a limit on the size of a process's files: the test starts itself again under
/// that limit.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_behind() {
    const CACHE: &str = "D2L_DATA_TEST_FULL_DISK";
    const BASE: &str = "D2L_DATA_TEST_BASE";
    if let Some(cache) = std::env::var_os(CACHE) {
        let base = std::env::var(BASE).unwrap();
        let error = fetch_to(
            &large(&base),
            Path::new(&cache),
            &From::Network,
            &impatient(),
            &Silent,
        )
        .unwrap_err();
        assert!(error.to_string().contains("is the disk full?"), "{error}");
        println!("the disk was full");
        return;
    }
    let server = Server::start(
        STEMS
            .iter()
            .zip(large_contents())
            .map(|(stem, content)| (format!("{stem}.gz"), Answer::Content(content))),
    );
    let cache = tempfile::tempdir().unwrap();
    let output = std::process::Command::new("sh")
        // The limit is in blocks of 512 bytes; a write beyond it fails, where the signal is ignored.
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact a_full_disk_leaves_nothing_behind --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(CACHE, cache.path())
        .env(BASE, &server.base)
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("the disk was full"),
        "{text}"
    );
    assert!(
        files_under(cache.path()).is_empty(),
        "{:?}",
        files_under(cache.path())
    );
    assert!(!cache.path().join("tiny").exists());
}

/// The tiny data set with room for files that do not fit the disk.
#[cfg(unix)]
fn large(base: &str) -> d2l_data::DatasetSpec {
    let mut spec = spec(Some(base));
    spec.files.iter_mut().for_each(|file| file.gzip_bytes = 200_000);
    spec
}

#[cfg(unix)]
fn large_contents() -> [Vec<u8>; 4] {
    std::array::from_fn(|_| vec![0x1f; 200_000])
}
