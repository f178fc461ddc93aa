//! Where the buffers of a plan lie: each lives for a stretch of the step, and buffers that never live at the same time
//! share a slot.

use d2l_kernels::memory::prefer_large_pages;

/// A buffer of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BufferId(usize);

/// What a buffer needs. Times count the step's moments: node `i` of `n` runs forward at `i`, the loss at `n`, and
/// node `i` runs backward at `2n − i`.
#[derive(Clone, Copy, Debug)]
struct Need {
    /// f32s per example.
    len: usize,
    from: usize,
    to: usize,
}

impl Need {
    fn overlaps(&self, other: &Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

/// Collects what buffers are needed and when.
#[derive(Debug, Default)]
pub(super) struct Needs(Vec<Need>);

impl Needs {
    /// A buffer of `len` f32s per example that is first written at `time`.
    pub(super) fn add(&mut self, len: usize, time: usize) -> BufferId {
        self.0.push(Need {
            len,
            from: time,
            to: time,
        });
        BufferId(self.0.len() - 1)
    }

    /// The buffer is touched at `time` too.
    pub(super) fn touch(&mut self, buffer: BufferId, time: usize) {
        if let Some(need) = self.0.get_mut(buffer.0) {
            need.from = need.from.min(time);
            need.to = need.to.max(time);
        }
    }

    /// Gives every buffer a slot, the largest buffers first, each the smallest slot that is free while it lives.
    pub(super) fn place(self) -> Layout {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(self.0.get(index).map_or(0, |need| need.len)));
        let mut slots: Vec<(usize, Vec<Need>)> = Vec::new();
        let mut slot_of = vec![0; self.0.len()];
        for index in order {
            let Some(need) = self.0.get(index) else { continue };
            let free = |slot: &(usize, Vec<Need>)| !slot.1.iter().any(|other| other.overlaps(need));
            let chosen = slots
                .iter()
                .enumerate()
                .filter(|(_, slot)| free(slot))
                .min_by_key(|(_, slot)| slot.0)
                .map(|(chosen, _)| chosen);
            let chosen = chosen.unwrap_or_else(|| {
                slots.push((need.len, Vec::new()));
                slots.len() - 1
            });
            if let Some(slot) = slots.get_mut(chosen) {
                slot.1.push(*need);
            }
            if let Some(slot) = slot_of.get_mut(index) {
                *slot = chosen;
            }
        }
        Layout {
            slots: slots.into_iter().map(|(len, _)| len).collect(),
            slot_of,
        }
    }
}

/// Which slot each buffer has.
#[derive(Debug)]
pub(super) struct Layout {
    /// f32s per example of each slot.
    slots: Vec<usize>,
    slot_of: Vec<usize>,
}

impl Layout {
    /// f32s per example of all slots.
    pub(super) fn len(&self) -> usize {
        self.slots.iter().sum()
    }
}

/// The slots of a plan. A slot is taken out while it is written, so that others can be read meanwhile.
#[derive(Debug)]
pub(super) struct Memory {
    slots: Vec<Vec<f32>>,
    slot_of: Vec<usize>,
}

impl Memory {
    /// Allocates for batches of up to `batch` examples.
    pub(super) fn new(layout: Layout, batch: usize) -> Self {
        Self {
            slots: layout.slots.iter().map(|len| zeros(len * batch)).collect(),
            slot_of: layout.slot_of,
        }
    }

    /// The first `len` elements of a buffer; fewer if it is taken.
    pub(super) fn get(&self, buffer: BufferId, len: usize) -> &[f32] {
        let slot = self.slot_of.get(buffer.0).and_then(|&slot| self.slots.get(slot));
        slot.map_or(&[], |slot| slot.get(..len).unwrap_or(slot))
    }

    /// Takes a buffer's slot out; [`Self::put`] brings it back.
    pub(super) fn take(&mut self, buffer: BufferId) -> Vec<f32> {
        self.slot_mut(buffer).map(std::mem::take).unwrap_or_default()
    }

    /// Puts a slot back.
    pub(super) fn put(&mut self, buffer: BufferId, slot: Vec<f32>) {
        if let Some(place) = self.slot_mut(buffer) {
            *place = slot;
        }
    }

    fn slot_mut(&mut self, buffer: BufferId) -> Option<&mut Vec<f32>> {
        let slot = *self.slot_of.get(buffer.0)?;
        self.slots.get_mut(slot)
    }
}

/// Zeros on large pages, where the system has them.
pub(super) fn zeros(len: usize) -> Vec<f32> {
    let mut slot = vec![0.0; len];
    prefer_large_pages(&mut slot);
    slot
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn buffers_that_live_at_once_never_share_a_slot(
            wanted in prop::collection::vec((1usize..50, 0usize..20, 0usize..6), 1..30)
        ) {
            let mut needs = Needs::default();
            for &(len, from, stay) in &wanted {
                let buffer = needs.add(len, from);
                needs.touch(buffer, from + stay);
            }
            let copies = needs.0.clone();
            let layout = needs.place();
            for (i, a) in copies.iter().enumerate() {
                prop_assert!(layout.slots[layout.slot_of[i]] >= a.len);
                for (j, b) in copies.iter().enumerate().skip(i + 1) {
                    prop_assert!(!(a.overlaps(b) && layout.slot_of[i] == layout.slot_of[j]));
                }
            }
            let largest_moment = (0..30).map(|t| copies.iter().filter(|n| n.from <= t && t <= n.to).map(|n| n.len).sum());
            prop_assert!(layout.len() >= largest_moment.max().unwrap_or(0));
            prop_assert!(layout.len() <= copies.iter().map(|n| n.len).sum());
        }
    }

    #[test]
    fn a_chain_needs_two_slots() {
        let mut needs = Needs::default();
        for time in 0..10 {
            let buffer = needs.add(4, time);
            needs.touch(buffer, time + 1);
        }
        assert_eq!(needs.place().len(), 8);
    }
}
