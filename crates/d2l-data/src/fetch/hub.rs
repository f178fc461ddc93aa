//! The Hugging Face Hub, through hf-hub.

use hf_hub::{HFClient, HFRepository, RepoTypeDataset, split_id};

use super::Job;
use super::download::{Body, Downloader, chain, not_answered};
use super::store::{Incoming, Refused};
use crate::datasets::{DatasetSpec, HubFiles, HubSpec, ParquetFile, Role};
use crate::error::Result;
use crate::official::OfficialFile;
use crate::provenance::SourceKind;

/// Fetches what is missing from the Hub; what cannot be had stays missing.
pub(super) fn fetch(
    job: &mut Job<'_>,
    downloader: &Downloader<'_>,
    spec: &DatasetSpec,
    hub: &HubSpec,
    endpoint: &str,
) -> Result<()> {
    let place = format!("{endpoint}/datasets/{} at {}", hub.repository, hub.revision);
    match &hub.files {
        HubFiles::Idx(paths) => {
            job.each_missing(|job, file| {
                let mut places = Role::ALL.iter().zip(paths);
                let outcome = match places.find(|(role, _)| Some(**role) == file.role()) {
                    Some((_, path)) => job.store.receive(file, |incoming| {
                        get(downloader, hub, endpoint, path, file.name, incoming)
                    }),
                    None => Err(Refused::because("it is not there")),
                };
                (place.clone(), outcome)
            })?;
        }
        HubFiles::Parquet { train, test } => {
            let is_train = |role| matches!(role, Some(Role::TrainImages | Role::TrainLabels));
            let (of_train, of_test) = std::mem::take(&mut job.missing)
                .into_iter()
                .partition(|file| is_train(file.role()));
            let get = |source: &ParquetFile, incoming: &mut Incoming| {
                get(downloader, hub, endpoint, source.path, source.path, incoming)
            };
            let reachable = parquet(job, spec, &place, train, of_train, get)?;
            if reachable {
                parquet(job, spec, &place, test, of_test, get)?;
            } else {
                job.missing.extend(of_test);
            }
        }
    }
    job.done(SourceKind::Hub, format!("the Hugging Face Hub, {place}"));
    Ok(())
}

/// Fetches a split as Parquet and stores its images and labels as the IDX files they were. False if
/// the Hub cannot be reached.
fn parquet(
    job: &mut Job<'_>,
    spec: &DatasetSpec,
    from: &str,
    source: &ParquetFile,
    wanted: Vec<OfficialFile>,
    get: impl FnOnce(&ParquetFile, &mut Incoming) -> std::result::Result<(), Refused>,
) -> Result<bool> {
    if wanted.is_empty() {
        return Ok(true);
    }
    let received = job
        .store
        .receive_parquet(source, |incoming| get(source, incoming));
    let split =
        received.and_then(|file| super::parquet::read(file.as_file(), spec.shape).map_err(Refused::Because));
    match split {
        Err(refused) => {
            job.missing.extend(wanted);
            job.failed(source.path, from, refused)
        }
        Ok(split) => {
            for file in wanted {
                let idx = if file.role().is_some_and(Role::is_images) {
                    &split.images
                } else {
                    &split.labels
                };
                let store = |incoming: &mut Incoming| incoming.write(&idx.to_bytes());
                let outcome = job.store.receive(&file, store);
                job.settle(file, from, outcome)?;
            }
            Ok(true)
        }
    }
}

fn get(
    downloader: &Downloader<'_>,
    hub: &HubSpec,
    endpoint: &str,
    path: &str,
    name: &str,
    incoming: &mut Incoming,
) -> std::result::Result<(), Refused> {
    let refused = |error: hf_hub::HFError| Refused::Because(chain(&error));
    let client = HFClient::builder()
        .endpoint(endpoint)
        .client(downloader.client(endpoint)?)
        // Failures are answered by the next source, not by waiting.
        .retry_max_attempts(0)
        .cache_enabled(false)
        .build()
        .map_err(refused)?;
    let (owner, repository) = split_id(hub.repository);
    let repository: HFRepository<RepoTypeDataset> = client.dataset(owner, repository);
    let from = format!(
        "{endpoint}/datasets/{}/{path} at {}",
        hub.repository, hub.revision
    );
    downloader.fetch(&from, name, incoming, async {
        let request = repository
            .download_file_stream()
            .filename(path)
            .revision(hub.revision);
        let (total, stream) = request.send().await.map_err(|error| not_answered(&error))?;
        Ok((total, Body::Hub(Box::pin(stream))))
    })
}
