use d2l_data::DatasetEntry;
use serde_json::{Value, json};

use crate::args::{ListArgs, ListWhat};
use crate::failure::Result;
use crate::table::{Align, Table};
use crate::ui::{BOLD, DIM, Ui};

/// `d2l list`: a name a line, with what it is.
pub(crate) fn list(args: &ListArgs, ui: Ui) -> Result<()> {
    let groups = [
        (ListWhat::Models, "models", models()),
        (ListWhat::Datasets, "data sets", datasets()),
        (ListWhat::Lessons, "lessons", lessons()),
    ];
    let wanted = groups
        .into_iter()
        .filter(|(what, ..)| args.what.is_none_or(|wanted| wanted == *what));
    if ui.json {
        let all: Vec<Value> = wanted
            .flat_map(|(.., entries)| entries.into_iter().map(|entry| entry.json))
            .collect();
        return ui.json_document(&all);
    }
    for (index, (_, heading, entries)) in wanted.enumerate() {
        // A single list is for pipes, too: names and nothing else in the first column.
        let indent = if args.what.is_none() { 2 } else { 0 };
        if args.what.is_none() {
            let gap = if index > 0 { "\n" } else { "" };
            ui.line(format_args!("{gap}{BOLD}{heading}{BOLD:#}"))?;
        }
        let mut table = Table::new(&[Align::Left, Align::Left, Align::Left]).indented(indent);
        for entry in entries {
            table.styled_row(vec![
                (entry.name, BOLD),
                (entry.about, anstyle::Style::new()),
                (entry.detail, DIM),
            ]);
        }
        for line in table.lines() {
            ui.line(line)?;
        }
    }
    Ok(())
}

struct Entry {
    name: String,
    about: String,
    detail: String,
    json: Value,
}

fn models() -> Vec<Entry> {
    let entry = |spec: &d2l_models::ModelSpec| Entry {
        name: spec.name.to_owned(),
        about: spec.about.to_owned(),
        detail: format!("section {}", spec.section),
        json: json!({
            "kind": "model",
            "name": spec.name,
            "aliases": spec.aliases,
            "about": spec.about,
            "reference": spec.reference,
            "section": spec.section,
            "input": spec.input,
            "classes": spec.classes,
            "epochs": spec.settings.epochs,
            "batch_size": spec.settings.batch_size,
            "learning_rate": spec.settings.learning_rate,
        }),
    };
    d2l_models::REGISTRY.iter().map(entry).collect()
}

fn datasets() -> Vec<Entry> {
    d2l_data::datasets::entries().map(dataset).collect()
}

fn dataset(entry: DatasetEntry<'_>) -> Entry {
    let mut json = json!({
        "kind": "dataset",
        "name": entry.name(),
        "aliases": entry.aliases(),
        "title": entry.title(),
        "about": entry.about(),
        "licence": entry.licence(),
        "homepage": entry.homepage(),
    });
    if let (DatasetEntry::Images(spec), Some(fields)) = (entry, json.as_object_mut()) {
        fields.insert("shape".to_owned(), json!(spec.shape));
        fields.insert("classes".to_owned(), json!(spec.class_names));
    }
    Entry {
        name: entry.name().to_owned(),
        about: format!("{}: {}", entry.title(), entry.about()),
        detail: entry.licence().to_owned(),
        json,
    }
}

fn lessons() -> Vec<Entry> {
    super::lesson::list_lessons()
        .map(|(lesson, json)| Entry {
            name: lesson.name.to_owned(),
            about: lesson.title.to_owned(),
            detail: format!("section {}", lesson.section),
            json,
        })
        .collect()
}
