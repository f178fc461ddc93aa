//! Probability (section 2.6): throwing a dice many times, and Bayes' rule on a medical test.

use crate::{Chapter, Cost, Error, Expect, Figure, Lesson, Page, Result, figure::Chart};
use d2l_nn::Rng;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "probability",
    chapter: Chapter::Preliminaries,
    section: "2.6",
    title: "Probability",
    expected: "each side's share goes to 1/6; P(H=1 | D1=1) = 0.1306, P(H=1 | D1=1, D2=1) = 0.8307",
    cost: Cost::Seconds,
    run,
};

const SIDES: usize = 6;

fn run(page: &mut Page<'_>) -> Result<()> {
    throwing(page)?;
    converging(page)?;
    testing(page)
}

fn throwing(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: throwing
    let fair = [1.0 / SIDES as f64; SIDES];
    let mut rng = page.rng("dice");
    page.say(format_args!("one throw: {:?}", multinomial(&mut rng, 1, &fair)?));
    page.say(format_args!(
        "ten throws: {:?}",
        multinomial(&mut rng, 10, &fair)?
    ));
    let shares = multinomial(&mut rng, 1000, &fair)?.map(|count| count as f64 / 1000.0);
    page.say(format_args!("shares of 1000 throws: {shares:?}"));
    // ANCHOR_END: throwing
    let farthest = shares
        .iter()
        .map(|share| (share - 1.0 / 6.0).abs())
        .fold(0.0, f64::max);
    // Five standard deviations of a share.
    page.expect(
        "farthest share of 1000 throws from 1/6",
        Expect::AtMost(0.06),
        farthest,
    );
    page.expect("sum of the shares", Expect::Exactly(1.0), shares.iter().sum());
    Ok(())
}

fn converging(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: converging
    let (groups, throws) = (500u32, 10u32);
    let fair = [1.0 / SIDES as f64; SIDES];
    let mut rng = page.rng("groups");
    let mut sums = [0; SIDES];
    let mut estimates = [const { Vec::new() }; SIDES];
    for group in 1..=groups {
        let counts = multinomial(&mut rng, throws, &fair)?;
        for ((sum, count), curve) in sums.iter_mut().zip(counts).zip(&mut estimates) {
            *sum += count;
            curve.push((f64::from(group), *sum as f64 / f64::from(group * throws)));
        }
    }
    let chart = Chart::new("Groups of experiments", "Estimated probability");
    let chart = estimates
        .into_iter()
        .zip(1..)
        .fold(chart, |chart, (curve, side)| {
            chart.line(format!("P(die={side})"), curve)
        });
    let chart = chart.dashed("1/6", [(0.0, 1.0 / 6.0), (f64::from(groups), 1.0 / 6.0)]);
    page.draw("estimates", Figure::chart(chart));
    // ANCHOR_END: converging
    let share = |sum: u64| sum as f64 / f64::from(groups * throws);
    for (side, sum) in sums.into_iter().enumerate() {
        page.expect(
            &format!("share of side {} in 5000 throws", side + 1),
            Expect::near(1.0 / 6.0, 0.03),
            share(sum),
        );
    }
    Ok(())
}

fn testing(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: testing
    // A disease that 15 in 10,000 have, and two tests for it that may be wrong.
    let ill = 0.0015;
    let after_one = posterior(ill, 1.0, 0.01);
    let after_two = posterior(after_one, 0.98, 0.03);
    page.say(format_args!("P(H=1 | D1=1) = {after_one:.4}"));
    page.say(format_args!("P(H=1 | D1=1, D2=1) = {after_two:.4}"));
    // ANCHOR_END: testing
    page.expect("P(H=1 | D1=1)", Expect::near(0.1306, 5e-5), after_one);
    page.expect("P(H=1 | D1=1, D2=1)", Expect::near(0.8307, 5e-5), after_two);
    Ok(())
}

// ANCHOR: bayes
/// Bayes' rule: the probability of a cause after its sign was seen, from the one before and the sign's probabilities
/// with and without the cause.
pub fn posterior(prior: f64, with_cause: f64, without_cause: f64) -> f64 {
    let both = with_cause * prior;
    both / (both + without_cause * (1.0 - prior))
}
// ANCHOR_END: bayes

// ANCHOR: multinomial
/// How often each of `N` things comes in `total` draws with these probabilities.
///
/// # Errors
/// When a probability is not between 0 and 1, or their sum is not 1.
pub fn multinomial<const N: usize>(rng: &mut Rng, total: u32, probabilities: &[f64; N]) -> Result<[u64; N]> {
    let sum: f64 = probabilities.iter().sum();
    if probabilities.iter().any(|p| !(0.0..=1.0).contains(p)) || (sum - 1.0).abs() > 1e-6 {
        return Err(Error::Lesson(format!(
            "probabilities are between 0 and 1 and their sum is 1, got {probabilities:?}"
        )));
    }
    let mut counts = [0; N];
    for draw in rng.uniform_vec(total as usize, 0.0, 1.0) {
        // The first thing whose probability, added to those before it, is above the draw.
        let mut rest = f64::from(draw);
        let hit = probabilities.iter().position(|p| {
            rest -= p;
            rest < 0.0
        });
        // Rounding may leave a rest after the last one.
        let hit = hit.or_else(|| probabilities.iter().rposition(|p| *p > 0.0));
        if let Some(count) = hit.and_then(|hit| counts.get_mut(hit)) {
            *count += 1;
        }
    }
    Ok(counts)
}
// ANCHOR_END: multinomial

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_their_probabilities_and_add_up() {
        let probabilities = [0.0, 0.5, 0.2, 0.3, 0.0];
        let counts = multinomial(&mut Rng::new(3), 100_000, &probabilities).unwrap();
        assert_eq!(counts.iter().sum::<u64>(), 100_000);
        for (count, p) in counts.into_iter().zip(probabilities) {
            // Five standard deviations.
            let spread = 5.0 * (100_000.0 * p * (1.0 - p)).sqrt();
            assert!((count as f64 - 100_000.0 * p).abs() <= spread, "{counts:?}");
        }
    }

    #[test]
    fn what_are_no_probabilities_is_refused() {
        for wrong in [[0.5, 0.6], [1.5, -0.5], [f64::NAN, 1.0], [0.0, 0.0]] {
            assert!(multinomial(&mut Rng::new(0), 1, &wrong).is_err(), "{wrong:?}");
        }
    }
}
