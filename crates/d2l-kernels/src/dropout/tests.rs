use super::*;
use crate::rng::Philox;
use crate::testing::{assert_same_bits, at_every_level, values, with_threads};

fn run(p: f32, key: u64, counter: u64, x: &[f32]) -> Vec<f32> {
    let mut y = vec![f32::NAN; x.len()];
    forward(p, key, counter, x, &mut y).unwrap();
    y
}

#[test]
fn the_mask_is_a_function_of_key_counter_and_element() {
    let x = values(2 * PIECE + 77, 1);
    let p = 0.3;
    // The definition, word by word.
    let mut rng = Philox::new(5, 9);
    let threshold = (f64::from(p) * 4_294_967_296.0) as u32;
    let scale = (1.0 / (1.0 - f64::from(p))) as f32;
    let wanted: Vec<f32> = x
        .iter()
        .map(|x| x * if rng.next_u32() >= threshold { scale } else { 0.0 })
        .collect();
    at_every_level(|_| {
        for threads in [1, 2, 3] {
            let y = with_threads(threads, || run(p, 5, 9, &x));
            assert_same_bits(&format!("{threads} threads"), &wanted, &y);
        }
    });
    // A shorter tensor sees the same mask.
    assert_same_bits("prefix", &wanted[..1000], &run(p, 5, 9, &x[..1000]));
    // The backward pass draws the same mask.
    let mut dx = vec![0.0; x.len()];
    backward(p, 5, 9, &x, &mut dx).unwrap();
    assert_same_bits("backward", &wanted, &dx);
    assert!(run(p, 5, 10, &x) != wanted && run(p, 6, 9, &x) != wanted);
}

#[test]
fn keeps_the_expected_share() {
    let ones = vec![1.0; 1 << 16];
    for p in [0.01, 0.1, 0.5, 0.9] {
        let y = run(p, 1, 2, &ones);
        let count = ones.len() as f64;
        let dropped = y.iter().filter(|&&y| y == 0.0).count() as f64 / count;
        let p = f64::from(p);
        assert!(
            (dropped - p).abs() < 5.0 * (p * (1.0 - p) / count).sqrt(),
            "{p}: {dropped}"
        );
        assert!(
            y.iter()
                .all(|&y| y == 0.0 || f64::from(y) == f64::from((1.0 / (1.0 - p)) as f32))
        );
    }
}

#[test]
fn edges() {
    let x = [1.0, -2.0, f32::NAN];
    assert_same_bits("p = 0", &x, &run(0.0, 1, 2, &x));
    let all = run(1.0, 1, 2, &x);
    assert!(all[0] == 0.0 && all[1] == 0.0 && all[2].is_nan());
    assert!(run(0.5, 1, 2, &[]).is_empty());
    for p in [-0.1, 1.1, f32::NAN] {
        assert!(
            forward(p, 1, 2, &x, &mut [0.0; 3])
                .unwrap_err()
                .to_string()
                .contains("from 0 to 1")
        );
    }
    assert!(forward(0.5, 1, 2, &x, &mut [0.0; 2]).is_err());
}
