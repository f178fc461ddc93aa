use std::path::PathBuf;

use d2l_data::{DatasetEntry, SourceKind, datasets, fetch, source::locate};
use serde_json::json;

use crate::args::{DataArgs, DataCommand, DataSourceArgs};
use crate::data::{CACHE_VARIABLE, Source, Teller};
use crate::failure::{Failure, Result};
use crate::table::{Align, Table};
use crate::ui::{BOLD, DIM, Ui};

/// `d2l data`: what is here, and fetching what is not.
pub(crate) fn data(args: &DataArgs, ui: Ui) -> Result<()> {
    match &args.command {
        None | Some(DataCommand::List) => list(ui),
        Some(DataCommand::Fetch { names, source }) => fetch_all(names, source, ui),
        Some(DataCommand::Where { name, source }) => whereabouts(name, source, ui),
    }
}

fn find(name: &str) -> Result<DatasetEntry<'static>> {
    datasets::find_entry(name).map_err(Failure::usage)
}

fn list(ui: Ui) -> Result<()> {
    let teller = Teller::new(ui);
    let source = Source::default();
    let options = source.options(&teller);
    let rows = datasets::entries().map(|entry| (entry, locate(entry, &options)));
    if ui.json {
        let all: Vec<_> = rows.map(|(entry, place)| place_json(entry, place)).collect();
        return ui.json_document(&all);
    }
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left]);
    for (entry, place) in rows {
        let (state, path) = in_words(place.as_ref());
        table.styled_row(vec![
            (entry.name().to_owned(), BOLD),
            (state.to_owned(), anstyle::Style::new()),
            (path, DIM),
        ]);
    }
    for line in table.lines() {
        ui.line(line)?;
    }
    Ok(())
}

fn whereabouts(name: &str, source: &DataSourceArgs, ui: Ui) -> Result<()> {
    let entry = find(name)?;
    let teller = Teller::new(ui);
    let source = Source {
        data_dir: source.data_dir.clone(),
        offline: source.offline,
    };
    let place = locate(entry, &source.options(&teller));
    if ui.json {
        return ui.json_document(&place_json(entry, place));
    }
    match &place {
        Some((_, Some(path))) => ui.line(path.display()),
        Some((SourceKind::Inside, _)) => ui.line("(inside d2l)"),
        Some((_, None)) => ui.line("(the sample inside d2l)"),
        None => Err(Failure::work(format!(
            "{} is not here; `d2l data fetch {}` fetches it",
            entry.title(),
            entry.name()
        ))),
    }
}

type Place = (SourceKind, Option<PathBuf>);

fn in_words(place: Option<&Place>) -> (&'static str, String) {
    let state = match place {
        Some((SourceKind::Cache, _)) => "in the cache",
        Some((SourceKind::System, _)) => "installed on the system",
        Some((SourceKind::Sample, _)) => "a small sample only (inside d2l)",
        Some((SourceKind::Inside, _)) => "all of it (inside d2l)",
        Some(_) => "here",
        None => "not here; it is fetched when it is needed",
    };
    let path = place
        .and_then(|(_, path)| path.as_ref())
        .map(|path| path.display().to_string());
    (state, path.unwrap_or_default())
}

fn place_json(entry: DatasetEntry<'_>, place: Option<Place>) -> serde_json::Value {
    let (kind, path) = place.map_or((None, None), |(kind, path)| (Some(kind), path));
    json!({
        "name": entry.name(),
        "title": entry.title(),
        "here": kind.is_some_and(|kind| kind != SourceKind::Sample),
        "source": kind,
        "path": path,
        "licence": entry.licence(),
        "homepage": entry.homepage(),
    })
}

fn fetch_all(names: &[String], source: &DataSourceArgs, ui: Ui) -> Result<()> {
    let entries = names.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
    let source = Source {
        data_dir: source.data_dir.clone(),
        offline: source.offline,
    };
    let from = match (&source.data_dir, source.offline) {
        (Some(folder), _) => fetch::From::Directory(folder.clone()),
        (None, true) => {
            return Err(Failure::usage(
                "--offline: nothing can be fetched without the network, unless from --data-dir",
            ));
        }
        (None, false) => fetch::From::Network,
    };
    let teller = Teller::new(ui);
    let options = source.options(&teller);
    let Some(cache) = &options.cache_dir else {
        return Err(Failure::work(format!(
            "there is no cache folder: set {CACHE_VARIABLE} to one"
        )));
    };
    let mut fetched = Vec::new();
    for entry in entries {
        let done = fetch::fetch_to(entry, cache, &from, &options.network, &teller)?;
        if ui.json {
            fetched.push(json!({ "name": entry.name(), "path": done.directory, "source": done.source }));
        } else {
            ui.fact("Data", format_args!("{} from {}", entry.title(), done.source));
            ui.line(done.directory.display())?;
        }
    }
    if ui.json {
        ui.json_document(&fetched)
    } else {
        Ok(())
    }
}
