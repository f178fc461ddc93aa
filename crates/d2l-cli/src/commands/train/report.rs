//! What is said before and after a run.

use anstyle::Style;
use d2l_train::{BatchSource, EpochRecord, Outcome, Run, StopReason, metrics::Metric};
use serde_json::{Value, json};

use super::{Job, Parts, Place, folder};
use crate::commands::summary_shape as shape;
use crate::data::describe;
use crate::failure::Result;
use crate::machine::{Engine, device_name};
use crate::runs::RUNS;
use crate::table::{Align, Table};
use crate::ui::{BOLD, DIM, plural, thousands};

impl Job<'_> {
    /// What is going to happen, on standard error.
    pub(super) fn introduce(&self, parts: &Parts) {
        let (plan, ui) = (self.plan, self.ui);
        if ui.member {
            return;
        }
        let (train, test, steps) = self.sizes(parts);
        ui.fact("Data", describe(plan.dataset, self.data));
        if let Some(validation) = &parts.validation {
            let held_out = thousands(validation.examples() as u64);
            ui.fact(
                "",
                format_args!("held out for validation: {held_out} of the training examples"),
            );
        }
        if train < self.data.train.len() || test < self.data.test.len() {
            ui.fact(
                "",
                format_args!(
                    "used: the first {} and {}",
                    thousands(train as u64),
                    thousands(test as u64)
                ),
            );
        }
        let (parameters, input) = (
            thousands(parts.params.parameter_count() as u64),
            shape(&plan.input),
        );
        ui.fact(
            "Model",
            format_args!(
                "{}: {parameters} parameters, input {input}, {} classes",
                plan.spec.name,
                self.data.class_names().len()
            ),
        );
        if parts.model.has_heads() {
            ui.fact("", "with its auxiliary classifiers in training");
        }
        if !plan.groups.freeze.is_empty() {
            let all = parts.params.parameters().into_iter();
            let trained = parts.params.trainable().into_iter();
            let [all, trained] = [
                all.map(|(_, var)| var.elem_count()).sum::<usize>(),
                trained.map(|(_, var)| var.elem_count()).sum(),
            ];
            ui.fact(
                "",
                format_args!("{} of them are frozen", thousands((all - trained) as u64)),
            );
        }
        if let Some(weights) = &plan.init_from {
            ui.fact("", format_args!("weights from {}", weights.display()));
        }
        let engine = match parts.engine {
            Engine::Plan => "planned steps",
            _ => "steps through autograd",
        };
        let (threads, workers) = (plural(plan.threads, "thread"), plural(plan.workers, "worker"));
        ui.fact(
            "Device",
            format_args!(
                "{}, {engine}, {threads}, {workers} for the data",
                device_name(&parts.device)
            ),
        );
        ui.fact("Training", self.training(steps));
    }

    /// Where the run is, on standard error.
    pub(super) fn introduce_place(&self, place: &Place) {
        if !self.ui.member {
            self.ui.fact("Run", place.run.path().display());
        }
        if let Some(checkpoint) = &place.checkpoint {
            let at = checkpoint.position();
            self.ui.fact(
                "",
                format_args!("going on after epoch {}, step {}", at.epoch, at.step),
            );
        }
    }

    /// The settings in a line: what every run has, then what is out of the ordinary.
    fn training(&self, steps: usize) -> String {
        let plan = self.plan;
        let batches = match plan.accumulate {
            1 => String::new(),
            n => format!(" × {n}"),
        };
        let mut text = format!(
            "{} of {}, batch size {}{batches}, {} with learning rate {}",
            plural(plan.epochs as usize, "epoch"),
            plural(steps, "step"),
            plan.batch_size,
            plan.method.name(),
            plan.method.learning_rate()
        );
        if plan.momentum != 0.0 {
            let kind = if plan.nesterov {
                "Nesterov momentum"
            } else {
                "momentum"
            };
            text += &format!(", {kind} {}", plan.momentum);
        }
        if plan.method.weight_decay() != 0.0 {
            text += &format!(", weight decay {}", plan.method.weight_decay());
            if plan.groups.no_decay {
                text += " but on biases and normalisations";
            }
        }
        for (pattern, factor) in &plan.groups.lr_scale {
            text += &format!(", {factor} times the rate for {pattern}");
        }
        if let Some(share) = plan.objective.label_smoothing {
            text += &format!(", label smoothing {share}");
        }
        if let Some(weights) = &plan.objective.class_weights {
            text += &format!(", class weights {weights}");
        }
        if plan.schedule_text != "constant" {
            text += &format!(", schedule {}", plan.schedule_text);
        }
        if let Some(norm) = plan.clip_norm {
            text += &format!(", gradients clipped to norm {norm}");
        }
        if !plan.shuffle {
            text += ", not shuffled";
        }
        text + &format!(", seed {}", plan.seed)
    }

    /// The first line of `--json`.
    pub(super) fn start_record(&self, parts: &Parts, place: Option<&Place>) -> Value {
        let plan = self.plan;
        let (train, test, steps) = self.sizes(parts);
        json!({
            "type": "start",
            "run": place.map(|place| place.run.path()),
            "resumed": place.is_some_and(|place| place.checkpoint.is_some()),
            "model": plan.spec.name,
            "parameters": parts.params.parameter_count(),
            "dataset": plan.dataset.name,
            "source": self.data.provenance.source,
            "sample": self.data.provenance.is_sample,
            "train_examples": train,
            "validation_examples": parts.validation.as_ref().map(BatchSource::examples),
            "test_examples": test,
            "epochs": plan.epochs,
            "steps_per_epoch": steps,
            "device": device_name(&parts.device),
            "engine": parts.engine.to_string(),
            "threads": plan.threads,
            "seed": plan.seed,
        })
    }

    /// How it went: the figures, the book's beside them where they can be compared, and what to do next.
    pub(super) fn conclude(&self, place: &Place, run: &Run<'_>, outcome: &Outcome) -> Result<()> {
        let (ui, path, history) = (self.ui, place.run.path(), run.history());
        let name = path.strip_prefix(RUNS).unwrap_or(path).display();
        if let Outcome::Stopped(reason) = outcome {
            let why = match reason {
                StopReason::Interrupted => String::new(),
                reason => format!("{reason}; "),
            };
            let step = thousands(run.step());
            if ui.member {
                return Ok(());
            }
            ui.fact(
                "Stopped",
                format_args!("{why}after step {step}; go on with: d2l train --resume {name}"),
            );
            return Ok(());
        }
        if ui.json || ui.member {
            return Ok(());
        }
        if let Some(last) = history.last() {
            for line in self.figures(last).lines() {
                ui.line(line)?;
            }
        }
        if let Some(metric) = history.last().map(Metric::natural)
            && let Some((epoch, value)) = metric.best(history)
        {
            ui.fact(
                "Best",
                format_args!("epoch {epoch}: {} {value:.4}", metric.name().replace('_', " ")),
            );
        }
        ui.fact(
            "Curves",
            format_args!("{0}/curves.svg, {0}/curves.png", path.display()),
        );
        ui.fact("Weights", format_args!("{}/checkpoints/last", path.display()));
        ui.fact(
            "Next",
            format_args!(
                "d2l eval {name}   d2l predict {name} --test 40   d2l plot {name} -o {}.png",
                folder::name(path)
            ),
        );
        Ok(())
    }

    fn figures(&self, last: &EpochRecord) -> Table {
        let plan = self.plan;
        let comparable = plan.is_the_books() && self.data.provenance.is_official();
        let book = plan.spec.expected.filter(|_| comparable);
        let mut table = Table::new(&[Align::Left, Align::Right, Align::Right]);
        let mut head = vec![(String::new(), BOLD), ("this run".to_owned(), BOLD)];
        head.extend(book.map(|_| ("the book".to_owned(), DIM)));
        table.styled_row(head);
        for (label, value, books) in [
            (
                "training loss",
                Some(last.train_loss),
                book.map(|book| book.train_loss),
            ),
            (
                "training accuracy",
                last.train_accuracy,
                book.map(|book| book.train_accuracy),
            ),
            (
                "test accuracy",
                last.test_accuracy,
                book.map(|book| book.test_accuracy),
            ),
            ("validation accuracy", last.validation_accuracy, None),
        ] {
            let Some(value) = value else { continue };
            let mut row = vec![(label.to_owned(), Style::new()), (format!("{value:.3}"), BOLD)];
            row.extend(books.map(|books| (format!("{books:.3}"), DIM)));
            table.styled_row(row);
        }
        table
    }
}
