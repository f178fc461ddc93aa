//! The figures as lines, Markdown and JSON.

use super::cases::{Case, Task};
use super::contender::Measurement;
use crate::machine::Setting;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The best that one program reached on one network.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    /// `d2l`, `torch` or `candle`.
    pub(super) peer: &'static str,
    /// PyTorch's mode, our engine; nothing for candle.
    pub(super) mode: String,
    pub(super) version: Option<String>,
    /// The shortest step, in seconds.
    pub(super) seconds: Option<f64>,
    /// The most memory any of its processes held, in bytes.
    pub(super) peak_memory: Option<u64>,
    /// Why there are no figures.
    pub(super) missing: Option<String>,
}

impl Figures {
    pub(super) fn new(peer: &'static str, mode: &str) -> Self {
        Self {
            peer,
            mode: mode.to_owned(),
            ..Self::default()
        }
    }

    /// Keeps the shortest time and the most memory.
    pub(super) fn take(&mut self, measurement: Measurement) {
        let shortest = self.seconds.unwrap_or(f64::INFINITY).min(measurement.seconds);
        self.seconds = Some(shortest);
        self.peak_memory = self.peak_memory.max(measurement.peak_memory_bytes);
    }

    /// As the table's head calls it.
    fn title(&self) -> String {
        match (self.peer, self.mode.as_str()) {
            ("d2l", _) => "d2l".into(),
            ("torch", "nchw") => "PyTorch NCHW".into(),
            ("torch", mode) => format!("PyTorch {mode}"),
            (peer, _) => peer.into(),
        }
    }
}

/// All figures of one network.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) case: Case,
    pub(super) task: Task,
    /// Ours first.
    pub(super) figures: Vec<Figures>,
}

impl Row {
    fn of(&self, title: &str) -> Option<&Figures> {
        self.figures.iter().find(|figures| figures.title() == title)
    }

    /// PyTorch's fastest mode.
    fn best_torch(&self) -> Option<&Figures> {
        let measured = self
            .figures
            .iter()
            .filter(|f| f.peer == "torch" && f.seconds.is_some());
        measured.min_by(|a, b| {
            a.seconds
                .unwrap_or(f64::NAN)
                .total_cmp(&b.seconds.unwrap_or(f64::NAN))
        })
    }

    /// Our speed as a multiple of PyTorch's best mode.
    fn ratio(&self) -> Option<f64> {
        Some(self.best_torch()?.seconds? / self.of("d2l")?.seconds?)
    }

    fn rate(&self, figures: &Figures) -> Option<f64> {
        Some(self.case.batch as f64 / figures.seconds?)
    }

    fn name(&self) -> String {
        let Case {
            label, batch, size, ..
        } = self.case;
        format!("{label}, {batch} @{size}")
    }

    /// The row as a line for the screen.
    pub(super) fn line(&self) -> String {
        let mut line = format!("{:28} {:5}", self.name(), self.task.name());
        for figures in &self.figures {
            let _ = write!(line, "  {} {}", figures.title(), number(self.rate(figures)));
        }
        let ratio = self.ratio().map(|ratio| format!("  {ratio:.2} x PyTorch's best"));
        line + " images/s" + &ratio.unwrap_or_default()
    }

    /// A line for each program that has no figures.
    pub(super) fn gaps(&self) -> impl Iterator<Item = String> + '_ {
        let gap = |figures: &Figures| {
            let why = figures.missing.as_ref()?;
            Some(format!(
                "{}, {}, {}: {why}",
                self.case.label,
                self.task.name(),
                figures.title()
            ))
        };
        self.figures.iter().filter_map(gap)
    }

    fn to_json(&self) -> Value {
        let figures = self.figures.iter().map(|figures| {
            json!({
                "peer": figures.peer,
                "mode": figures.mode,
                "version": figures.version,
                "images_per_second": self.rate(figures),
                "ms_per_step": figures.seconds.map(|seconds| 1e3 * seconds),
                "peak_memory_bytes": figures.peak_memory,
                "missing": figures.missing,
            })
        });
        json!({
            "model": self.case.network,
            "mode": self.task.name(),
            "batch_size": self.case.batch,
            "input": [1, self.case.size, self.case.size],
            "width": self.case.width,
            "parameters": self.case.parameters,
            "figures": figures.collect::<Vec<_>>(),
            "ratio_to_best_torch": self.ratio(),
        })
    }
}

/// All figures of a run of the command.
pub(super) struct Report {
    setting: Setting,
    rounds: usize,
    seconds: f64,
    rows: Vec<Row>,
}

impl Report {
    pub(super) fn new(setting: Setting, rounds: usize, seconds: f64) -> Self {
        Self {
            setting,
            rounds,
            seconds,
            rows: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(super) fn to_json(&self) -> Value {
        let mut value = self.setting.to_json();
        value["versions"]["torch"] = json!(self.torch_version());
        value["rounds"] = json!(self.rounds);
        value["seconds_per_measurement"] = json!(self.seconds);
        value["rows"] = self.rows.iter().map(Row::to_json).collect();
        value
    }

    fn torch_version(&self) -> Option<&str> {
        let figures = self.rows.iter().flat_map(|row| &row.figures);
        figures
            .filter(|f| f.peer == "torch")
            .find_map(|f| f.version.as_deref())
    }

    /// A table for training and one for inference, with what they were measured on and what is missing.
    pub(super) fn to_markdown(&self) -> String {
        let mut text = String::new();
        for (task, title) in [(Task::Train, "Training step"), (Task::Infer, "Inference")] {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.task == task).collect();
            if !rows.is_empty() {
                let _ = writeln!(text, "**{title}**, images per second\n\n{}", table(&rows));
            }
        }
        text + &self.notes()
    }

    fn notes(&self) -> String {
        let Setting {
            cpu,
            cores,
            threads,
            date,
            commit,
            candle,
            ..
        } = &self.setting;
        let torch = self.torch_version().map(|version| format!(", PyTorch {version}"));
        let mut text = format!(
            "{date}; {cpu}, {cores} cores, {threads} threads; f32; d2l {commit}{}, candle {candle}. Best of {} rounds \
             of {} s, all taking turns; a training step is forward, mean cross-entropy, backward and SGD. Memory is \
             the most that the process held (VmHWM), in MB, PyTorch's that of its fastest mode.\n",
            torch.unwrap_or_default(),
            self.rounds,
            self.seconds
        );
        let gaps: Vec<String> = self.rows.iter().flat_map(Row::gaps).collect();
        if !gaps.is_empty() {
            text += "\nMissing:\n\n";
            for gap in gaps {
                let _ = writeln!(text, "- {gap}");
            }
        }
        text
    }
}

/// A Markdown table. Columns are those that any of the rows has.
fn table(rows: &[&Row]) -> String {
    let mut titles: Vec<String> = Vec::new();
    for title in rows.iter().flat_map(|row| &row.figures).map(Figures::title) {
        if !titles.contains(&title) {
            titles.push(title);
        }
    }
    // Candle behind PyTorch, however the first rows have it.
    titles.sort_by_key(|title| title == "candle");
    let torch = titles.iter().any(|title| title.starts_with("PyTorch"));
    let candle = titles.iter().any(|title| title == "candle");

    let mut head = vec!["network, batch @size".to_owned()];
    head.extend(titles.iter().cloned());
    head.extend(torch.then(|| "× PyTorch's best".to_owned()));
    head.push("MB: d2l".into());
    head.extend(torch.then(|| "MB: PyTorch".to_owned()));
    head.extend(candle.then(|| "MB: candle".to_owned()));
    let columns = head.len();
    let mut lines = vec![head, vec!["---".to_owned(); columns]];
    for row in rows {
        let memory = |figures: Option<&Figures>| {
            number(
                figures
                    .and_then(|f| f.peak_memory)
                    .map(|bytes| (bytes as f64 / 1e6).round()),
            )
        };
        let mut cells = vec![row.name()];
        cells.extend(
            titles
                .iter()
                .map(|title| number(row.of(title).and_then(|f| row.rate(f)))),
        );
        cells.extend(torch.then(|| row.ratio().map_or("–".into(), |ratio| format!("**{ratio:.2}**"))));
        cells.push(memory(row.of("d2l")));
        cells.extend(torch.then(|| memory(row.best_torch())));
        cells.extend(candle.then(|| memory(row.of("candle"))));
        lines.push(cells);
    }
    lines
        .iter()
        .map(|cells| format!("| {} |\n", cells.join(" | ")))
        .collect()
}

/// Three digits or more, thousands apart; a dash for nothing.
fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "–".into() };
    if value < 99.95 {
        let text = format!("{value:.1}");
        return text.strip_suffix(".0").unwrap_or(&text).to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::cases::CASES;
    use super::*;

    fn figures(peer: &'static str, mode: &str, seconds: f64, megabytes: u64) -> Figures {
        let mut figures = Figures::new(peer, mode);
        figures.take(Measurement {
            seconds,
            peak_memory_bytes: Some(megabytes * 1_000_000),
        });
        figures
    }

    fn report(rows: Vec<Row>) -> Report {
        let setting = Setting {
            cpu: "a processor".into(),
            cores: 4,
            threads: 2,
            date: "2026-01-31".into(),
            commit: "abc123".into(),
            candle: "0.11.1".into(),
            load: None,
        };
        Report {
            rows,
            ..Report::new(setting, 3, 1.5)
        }
    }

    fn row() -> Row {
        let mut compile = Figures::new("torch", "compile");
        compile.missing = Some("no compiler".into());
        Row {
            case: CASES[3],
            task: Task::Train,
            figures: vec![
                figures("d2l", "plan", 0.4, 500),
                figures("torch", "nchw", 0.7, 1_300),
                figures("torch", "channels_last", 0.6, 1_200),
                compile,
            ],
        }
    }

    #[test]
    fn the_table_compares_with_the_best_mode_and_its_memory() {
        let text = report(vec![row()]).to_markdown();
        let line = "| AlexNet, 32 @224 | 80 | 45.7 | 53.3 | – | **1.50** | 500 | 1,200 |";
        assert!(text.contains(line), "{text}");
        let head = "| network, batch @size | d2l | PyTorch NCHW | PyTorch channels_last | PyTorch compile \
                    | × PyTorch's best | MB: d2l | MB: PyTorch |";
        assert!(text.contains(head), "{text}");
        assert!(
            text.contains("2026-01-31; a processor, 4 cores, 2 threads"),
            "{text}"
        );
        assert!(
            text.contains("- AlexNet, train, PyTorch compile: no compiler"),
            "{text}"
        );
        assert!(!text.contains("Inference"), "{text}");
    }

    #[test]
    fn without_peers_there_are_no_columns_for_them() {
        let alone = Row {
            figures: vec![figures("d2l", "plan", 0.001, 50)],
            case: CASES[0],
            task: Task::Infer,
        };
        let text = report(vec![alone]).to_markdown();
        assert!(
            text.contains("| network, batch @size | d2l | MB: d2l |\n"),
            "{text}"
        );
        assert!(
            text.contains("| softmax regression, 256 @28 | 256,000 | 50 |\n"),
            "{text}"
        );
    }

    #[test]
    fn rows_of_other_columns_leave_gaps() {
        let mut other = row();
        other.case = CASES[1];
        other.figures = vec![figures("d2l", "plan", 0.4, 500), figures("candle", "", 0.8, 700)];
        let text = report(vec![other, row()]).to_markdown();
        assert!(
            text.contains("| MLP, 256 @28 | 640 | – | – | – | 320 | – | 500 | – | 700 |"),
            "{text}"
        );
    }

    #[test]
    fn measurements_keep_the_shortest_time_and_the_most_memory() {
        let mut figures = figures("torch", "nchw", 0.5, 100);
        for (seconds, bytes) in [(0.25, Some(90_000_000)), (1.0, None)] {
            figures.take(Measurement {
                seconds,
                peak_memory_bytes: bytes,
            });
        }
        assert_eq!(
            (figures.seconds, figures.peak_memory),
            (Some(0.25), Some(100_000_000))
        );
    }

    #[test]
    fn json_holds_what_the_table_rounds() {
        let value = report(vec![row()]).to_json();
        assert_eq!(value["machine"]["cores"], 4);
        let row = &value["rows"][0];
        assert_eq!(row["ratio_to_best_torch"], json!(0.6 / 0.4));
        assert_eq!(row["figures"][1]["peak_memory_bytes"], 1_300_000_000_u64);
        assert_eq!(row["figures"][3]["missing"], "no compiler");
        assert_eq!(row["figures"][3]["images_per_second"], Value::Null);
    }

    #[test]
    fn numbers_are_read_at_a_glance() {
        let texts = [0.04, 57.04, 99.96, 999.6, 23_100.4, 3_420_000.0].map(|x| number(Some(x)));
        assert_eq!(texts, ["0", "57", "100", "1,000", "23,100", "3,420,000"]);
        assert_eq!(number(None), "–");
    }
}
