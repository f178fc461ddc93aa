//! Philox4x32-10, a counter-based random generator, and the distributions drawn from it.
//!
//! A block of four 32-bit words is a pure function of a 128-bit counter and a 64-bit key: ten rounds of
//! two 32×32→64-bit products and exclusive ors (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3",
//! SC 2011; the constants are Random123's). Nothing has to be drawn in order, so any part of a sequence can be
//! computed by any thread, jumping is an addition, and the whole state is three numbers.
//!
//! ```text
//! key     = seed
//! counter = (block number: low 64 bits, stream: high 64 bits)
//! word n of the sequence = word n % 4 of block n / 4
//! ```
//!
//! Every number drawn is the same on every machine, at every instruction-set level and for any number of threads:
//! the normal distribution uses its own logarithm and sine in plain f32 operations that no compiler contracts, not
//! the platform's mathematical library.

mod normal;

use crate::par::for_each_chunk_mut;
use crate::pieces::per_level;
use std::array::from_fn;

/// Blocks computed side by side, one per vector lane.
const LANES: usize = 16;

/// Words in [`LANES`] blocks.
pub(crate) const GROUP: usize = 4 * LANES;

/// Numbers each piece of a parallel fill draws; whole groups.
const PIECE: usize = 128 * GROUP;

/// The four words of Philox4x32-10 for one counter and key.
#[inline]
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    rounds(counter.map(|word| [u64::from(word)]), key).map(|[word]| word as u32)
}

/// Ten rounds on `N` blocks side by side: the low half of `words[w][lane]` is word `w` of a lane's counter. The high
/// halves hold remains of products: so the vectors are all of one type.
#[inline(always)]
fn rounds<const N: usize>(words: [[u64; N]; 4], mut key: [u32; 2]) -> [[u64; N]; 4] {
    let [mut w0, mut w1, mut w2, mut w3] = words;
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        let product0: [u64; N] = from_fn(|lane| 0xD251_1F53 * (w0[lane] & u64::from(u32::MAX)));
        let product1: [u64; N] = from_fn(|lane| 0xCD9E_8D57 * (w2[lane] & u64::from(u32::MAX)));
        w0 = from_fn(|lane| (product1[lane] >> 32) ^ w1[lane] ^ u64::from(key[0]));
        w1 = product1;
        w2 = from_fn(|lane| (product0[lane] >> 32) ^ w3[lane] ^ u64::from(key[1]));
        w3 = product0;
    }
    [w0, w1, w2, w3]
}

/// The blocks `first_block .. first_block + LANES` of a stream: `[w][lane]` is word `w` of block `first + lane`.
#[inline(always)]
fn blocks(key: u64, stream: u64, first_block: u64) -> [[u32; LANES]; 4] {
    let block: [u64; LANES] = from_fn(|lane| first_block.wrapping_add(lane as u64));
    let counter = [
        block,
        block.map(|block| block >> 32),
        [stream; LANES],
        [stream >> 32; LANES],
    ];
    let words = rounds(counter, [key as u32, (key >> 32) as u32]);
    words.map(|lanes| lanes.map(|word| word as u32))
}

/// From `[word][lane]` to the order of the sequence.
#[inline(always)]
fn in_sequence<T: Copy>(words: [[T; LANES]; 4]) -> [T; GROUP] {
    let mut out = [words[0][0]; GROUP];
    for lane in 0..LANES {
        for word in 0..4 {
            out[lane * 4 + word] = words[word][lane];
        }
    }
    out
}

/// The [`GROUP`] words that start at block `first_block`.
#[inline(always)]
pub(crate) fn group(key: u64, stream: u64, first_block: u64) -> [u32; GROUP] {
    in_sequence(blocks(key, stream, first_block))
}

/// Where a [`Philox`] stands; three numbers to keep in a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhiloxState {
    /// The seed, Philox's key.
    pub seed: u64,
    /// The stream, the high half of Philox's counter.
    pub stream: u64,
    /// 32-bit words drawn so far.
    pub position: u64,
}

/// A generator: one of 2⁶⁴ independent streams of a seed, and a position in it.
///
/// A stream has 2⁶⁴ words, after which it starts again.
#[derive(Clone, Debug)]
pub struct Philox {
    state: PhiloxState,
    /// The block that holds the next word; stale where the position is a multiple of four.
    block: [u32; 4],
}

impl Philox {
    /// The start of a stream of `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self::from_state(PhiloxState {
            seed,
            stream,
            position: 0,
        })
    }

    /// A generator that goes on where the one that gave `state` stood.
    pub fn from_state(state: PhiloxState) -> Self {
        let mut rng = Self { state, block: [0; 4] };
        rng.load_block();
        rng
    }

    /// All there is to know about this generator.
    pub fn state(&self) -> PhiloxState {
        self.state
    }

    /// The start of another stream of the same seed; this generator does not move.
    pub fn stream(&self, stream: u64) -> Self {
        Self::new(self.state.seed, stream)
    }

    /// Goes `words` 32-bit words ahead, in constant time.
    pub fn jump(&mut self, words: u64) {
        self.state.position = self.state.position.wrapping_add(words);
        self.load_block();
    }

    fn load_block(&mut self) {
        let PhiloxState {
            seed,
            stream,
            position,
        } = self.state;
        let block = position / 4;
        self.block = philox4x32_10(
            [
                block as u32,
                (block >> 32) as u32,
                stream as u32,
                (stream >> 32) as u32,
            ],
            [seed as u32, (seed >> 32) as u32],
        );
    }

    /// The next word.
    pub fn next_u32(&mut self) -> u32 {
        let slot = self.state.position % 4;
        if slot == 0 {
            self.load_block();
        }
        self.state.position = self.state.position.wrapping_add(1);
        self.block[slot as usize]
    }

    /// The next two words, the first one as the low half.
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    /// Uniform in [0, 1), a multiple of 2⁻²⁴.
    pub fn uniform_f32(&mut self) -> f32 {
        unit_f32(self.next_u32())
    }

    /// Uniform in [0, 1), a multiple of 2⁻⁵³.
    pub fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `0..bound`, every number exactly as likely (Lemire, "Fast Random Integer Generation in an
    /// Interval", 2019). A `bound` of 0 stands for 2⁶⁴.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return self.next_u64();
        }
        let mut product = u128::from(self.next_u64()) * u128::from(bound);
        if (product as u64) < bound {
            // 2⁶⁴ mod bound of the low halves are one draw too many.
            let surplus = bound.wrapping_neg() % bound;
            while (product as u64) < surplus {
                product = u128::from(self.next_u64()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }

    /// Puts `items` in random order, every order as likely (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// Fills `out` uniformly from [`low`, `high`): `low + (high − low)·u`, with u as [`Self::uniform_f32`] draws it.
    ///
    /// Starts at the next block and takes one word per number, rounded up to whole blocks. Where rounding would
    /// give `high` the number below it is given.
    pub fn fill_uniform(&mut self, low: f32, high: f32, out: &mut [f32]) {
        let first_block = self.take_blocks(out.len());
        let PhiloxState { seed, stream, .. } = self.state;
        for_each_chunk_mut(out, PIECE, |piece, out| {
            let first_block = first_block.wrapping_add((piece * PIECE / 4) as u64);
            fill_uniform(seed, stream, first_block, low, high, out);
        });
    }

    /// Fills `out` from the normal distribution (Box–Muller; |z| ≤ 6.7, the moments of 10⁷ numbers agree with the
    /// distribution's within their sampling error).
    ///
    /// Starts at the next block and takes one word per number, rounded up to whole blocks.
    pub fn fill_normal(&mut self, mean: f32, standard_deviation: f32, out: &mut [f32]) {
        let first_block = self.take_blocks(out.len());
        let PhiloxState { seed, stream, .. } = self.state;
        for_each_chunk_mut(out, PIECE, |piece, out| {
            let first_block = first_block.wrapping_add((piece * PIECE / 4) as u64);
            fill_normal(seed, stream, first_block, mean, standard_deviation, out);
        });
    }

    /// Moves behind as many whole blocks as hold `words`, and gives the first of them.
    fn take_blocks(&mut self, words: usize) -> u64 {
        let first_block = self.state.position.div_ceil(4);
        self.state.position = first_block.wrapping_add(words.div_ceil(4) as u64).wrapping_mul(4);
        first_block
    }
}

/// The high 24 bits as a fraction of one.
#[inline(always)]
fn unit_f32(word: u32) -> f32 {
    (word >> 8) as i32 as f32 * (1.0 / (1 << 24) as f32)
}

per_level! {
    fn fill_uniform<'a>(key: u64, stream: u64, first_block: u64, low: f32, high: f32, out: &'a mut [f32]) {
        // No mul_add: the numbers must not depend on the level.
        let (width, last) = (high - low, if low < high { high.next_down() } else { high });
        for (index, out) in out.chunks_mut(GROUP).enumerate() {
            let words = group(key, stream, first_block.wrapping_add((index * LANES) as u64));
            for (out, word) in out.iter_mut().zip(words) {
                let value = low + width * unit_f32(word);
                *out = if value >= high { last } else { value };
            }
        }
    }
}

per_level! {
    fn fill_normal<'a>(key: u64, stream: u64, first_block: u64, mean: f32, deviation: f32, out: &'a mut [f32]) {
        for (index, out) in out.chunks_mut(GROUP).enumerate() {
            let words = blocks(key, stream, first_block.wrapping_add((index * LANES) as u64));
            let mut values = [[0.0; LANES]; 4];
            for lane in 0..LANES {
                (values[0][lane], values[1][lane]) = normal::box_muller(words[0][lane], words[1][lane]);
                (values[2][lane], values[3][lane]) = normal::box_muller(words[2][lane], words[3][lane]);
            }
            for (out, value) in out.iter_mut().zip(in_sequence(values)) {
                *out = mean + deviation * value;
            }
        }
    }
}

#[cfg(test)]
mod tests;
