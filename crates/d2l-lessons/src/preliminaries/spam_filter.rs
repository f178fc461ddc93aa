//! Bayes' rule as a spam filter (section 2.6): from counts of words to the probability that a message is spam.

use super::probability::posterior;
use crate::{Chapter, Cost, Error, Expect, Figure, Lesson, Page, Result, figure::Bars, figure::Panel};
use std::collections::BTreeSet;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "spam-filter",
    chapter: Chapter::Preliminaries,
    section: "2.6",
    title: "Bayes' rule as a spam filter",
    expected: "`win money now` is spam and `notes of the meeting` is not; the posterior of one word by hand",
    cost: Cost::Seconds,
    run,
};

// ANCHOR: messages
const SPAM: &[&str] = &[
    "win money now",
    "free money click now",
    "you win a free prize",
    "cheap prize click here",
];
const HAM: &[&str] = &[
    "notes of the meeting",
    "the meeting is at noon",
    "lunch at noon tomorrow",
    "can you send the notes",
    "see you tomorrow",
    "the report is here",
];
// ANCHOR_END: messages

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: filter
    let filter = SpamFilter::learn(SPAM, HAM)?;
    page.say(format_args!("P(spam) = {:.2}", filter.prior()));
    let words = ["money", "free", "prize", "you", "here", "meeting", "noon"];
    let bars = words.map(|word| (word.to_owned(), filter.after_word(word)));
    for (word, probability) in &bars {
        page.say(format_args!("P(spam | {word}) = {probability:.3}"));
    }
    for message in ["win money now", "free prize at noon", "notes of the meeting"] {
        page.say(format_args!(
            "P(spam | {message:?}) = {:.4}",
            filter.probability(message)
        ));
    }
    // ANCHOR_END: filter
    page.draw(
        "words",
        Figure::row([Panel::Bars(Bars {
            x_label: "word in the message".into(),
            y_label: "probability of spam".into(),
            bars: bars.into(),
            ..Bars::default()
        })]),
    );

    page.expect("P(spam) before reading", Expect::Exactly(0.4), filter.prior());
    // `money` is in 2 of 4 spam messages and in 0 of 6 others; one is added to each count and two to each total:
    // (3/6 · 0.4) / (3/6 · 0.4 + 1/8 · 0.6).
    page.expect(
        "P(spam | money)",
        Expect::Exactly(0.2 / 0.275),
        filter.after_word("money"),
    );
    page.expect(
        "P(spam | an unknown word)",
        Expect::Exactly(0.4),
        filter.probability("xyzzy"),
    );
    page.expect(
        "P(spam | win money now)",
        Expect::AtLeast(0.9),
        filter.probability("win money now"),
    );
    page.expect(
        "P(spam | notes of the meeting)",
        Expect::AtMost(0.1),
        filter.probability("notes of the meeting"),
    );
    Ok(())
}

// ANCHOR: spam_filter
/// Counts of the messages that have a word, among spam and others (ham).
#[derive(Clone, Debug)]
pub struct SpamFilter {
    spam: Vec<BTreeSet<String>>,
    ham: Vec<BTreeSet<String>>,
}

impl SpamFilter {
    /// A filter that has read these messages.
    ///
    /// # Errors
    /// When there is no message of one kind.
    pub fn learn(spam: &[&str], ham: &[&str]) -> Result<Self> {
        if spam.is_empty() || ham.is_empty() {
            return Err(Error::Lesson(
                "a filter needs messages of both kinds to learn from".into(),
            ));
        }
        let read = |messages: &[&str]| messages.iter().map(|message| words(message)).collect();
        Ok(Self {
            spam: read(spam),
            ham: read(ham),
        })
    }

    /// The probability of spam before the message is read.
    pub fn prior(&self) -> f64 {
        self.spam.len() as f64 / (self.spam.len() + self.ham.len()) as f64
    }

    /// The probability of spam when one word has been read.
    pub fn after_word(&self, word: &str) -> f64 {
        self.update(self.prior(), word)
    }

    /// The probability of spam when the whole message has been read: Bayes' rule once for every known word, as if
    /// words came independently of each other.
    pub fn probability(&self, message: &str) -> f64 {
        words(message)
            .iter()
            .fold(self.prior(), |prior, word| self.update(prior, word))
    }

    fn update(&self, prior: f64, word: &str) -> f64 {
        if count(&self.spam, word) + count(&self.ham, word) == 0 {
            return prior; // a word that was never seen says nothing
        }
        posterior(prior, share(&self.spam, word), share(&self.ham, word))
    }
}

/// The share of messages with a word. One message with and one without are added (Laplace's smoothing), so that no
/// single word can settle the matter.
fn share(messages: &[BTreeSet<String>], word: &str) -> f64 {
    (count(messages, word) + 1) as f64 / (messages.len() + 2) as f64
}

fn count(messages: &[BTreeSet<String>], word: &str) -> usize {
    messages.iter().filter(|words| words.contains(word)).count()
}

/// The words of a message, each once.
fn words(message: &str) -> BTreeSet<String> {
    message.split_whitespace().map(str::to_lowercase).collect()
}
// ANCHOR_END: spam_filter

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_counts_once_and_a_filter_needs_both_kinds() {
        let filter = SpamFilter::learn(SPAM, HAM).unwrap();
        assert_eq!(
            filter.probability("Money money MONEY"),
            filter.after_word("money")
        );
        assert_eq!(filter.probability(""), filter.prior());
        assert!(SpamFilter::learn(&[], HAM).is_err() && SpamFilter::learn(SPAM, &[]).is_err());
    }
}
