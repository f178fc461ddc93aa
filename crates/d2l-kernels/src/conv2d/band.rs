//! A band: some rows of an image, or some whole images, with the zeros around them in place.
//!
//! Kernels read activations through pointers that know nothing of borders. Where a window reaches over the border,
//! the rows it needs are copied into a scratch buffer with zeros around them; where none does, they are read where
//! they lie.

/// Where the windows of a convolution lie in the images they read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// Rows and columns of an image.
    pub(super) in_size: [usize; 2],
    /// Floats of a pixel.
    pub(super) channels: usize,
    /// The first tap of the first window; negative inside the padding.
    pub(super) origin: [isize; 2],
    /// Pixels from one window to the next.
    pub(super) step: [usize; 2],
    /// Pixels from one tap to the next.
    pub(super) tap_step: [usize; 2],
    /// Taps of a window.
    pub(super) taps: [usize; 2],
    /// Windows of an image.
    pub(super) grid: [usize; 2],
}

/// Rows of windows of neighbouring images: either all rows of `images` images, or some rows of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    pub(super) first_image: usize,
    pub(super) images: usize,
    /// The first row of windows.
    pub(super) first_row: usize,
    pub(super) rows: usize,
}

/// The pixels of a band, wherever they lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct BandView {
    /// The first tap of the band's first window.
    pub(super) start: *const f32,
    /// Floats from an image to the next.
    pub(super) image_pitch: usize,
    /// Floats from a row of pixels to the next.
    pub(super) row_pitch: usize,
}

/// How the windows of a batch are cut into bands. Depends on the shapes alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bands {
    batch: usize,
    grid_rows: usize,
    images: usize,
    rows: usize,
}

impl Bands {
    /// Cuts a batch of images with `grid_rows` rows of windows each into bands of at most `images` images, or, if
    /// that is one, of at most `rows` rows.
    fn new(batch: usize, grid_rows: usize, images: usize, rows: usize) -> Self {
        // Bands of equal size, rather than full ones and a small rest.
        let images = batch.max(1).div_ceil(batch.max(1).div_ceil(images.max(1)));
        let rows = if images > 1 {
            grid_rows
        } else {
            grid_rows.div_ceil(grid_rows.div_ceil(rows.max(1)))
        };
        Self {
            batch,
            grid_rows,
            images,
            rows,
        }
    }

    /// Bands of `images` images where that is above one (the last may have fewer), else of at most `rows` rows.
    pub(super) fn exact(batch: usize, grid_rows: usize, images: usize, rows: usize) -> Self {
        if images > 1 {
            return Self {
                batch,
                grid_rows,
                images,
                rows: grid_rows,
            };
        }
        Self::new(batch, grid_rows, 1, rows)
    }

    /// Rows of windows of the largest band, over all its images.
    pub(super) fn max_rows(&self) -> usize {
        self.images * self.rows
    }

    /// How many bands there are.
    pub(super) fn count(&self) -> usize {
        self.batch.div_ceil(self.images) * self.rows_per_image()
    }

    fn rows_per_image(&self) -> usize {
        self.grid_rows.div_ceil(self.rows)
    }

    /// Band `index`.
    pub(super) fn get(&self, index: usize) -> Band {
        let first_image = index / self.rows_per_image() * self.images;
        let first_row = index % self.rows_per_image() * self.rows;
        Band {
            first_image,
            images: self.images.min(self.batch - first_image),
            first_row,
            rows: self.rows.min(self.grid_rows - first_row),
        }
    }
}

impl Windows {
    /// Rows and columns of pixels that `rows` rows of windows cover.
    fn extent(&self, rows: usize) -> [usize; 2] {
        let extent = |windows: usize, axis: usize| {
            (windows - 1) * self.step[axis] + (self.taps[axis] - 1) * self.tap_step[axis] + 1
        };
        [extent(rows, 0), extent(self.grid[1], 1)]
    }

    /// Whether every window lies inside the image, so that no copy is needed.
    pub(super) fn inside(&self) -> bool {
        let extent = self.extent(self.grid[0]);
        (0..2).all(|axis| {
            self.origin[axis] >= 0 && self.origin[axis] as usize + extent[axis] <= self.in_size[axis]
        })
    }

    /// Cuts the windows of `batch` images into bands whose copies hold about `floats` floats at most, and into at
    /// least `at_least` bands where there are that many images.
    pub(super) fn bands(&self, batch: usize, floats: usize, at_least: usize) -> Bands {
        let rows = self.rows_within(floats);
        let images = (rows / self.grid[0]).clamp(1, batch.div_ceil(at_least).max(1));
        Bands::new(batch, self.grid[0], images, rows)
    }

    /// Rows of windows whose copy holds at most `floats` floats, but at least one: whole images where one fits.
    fn rows_within(&self, floats: usize) -> usize {
        let [height, width] = self.extent(self.grid[0]);
        let row = width * self.channels;
        if height * row <= floats {
            return floats / (height * row) * self.grid[0];
        }
        let overlap = self.extent(1)[0] - 1;
        ((floats / row).saturating_sub(overlap) / self.step[0]).max(1)
    }

    /// Cuts the windows of `batch` images into bands of about `rows` rows of windows, whose copies hold about
    /// `floats` floats at most.
    pub(super) fn chunks(&self, batch: usize, rows: usize, floats: usize) -> Bands {
        let rows = rows.min(self.rows_within(floats)).max(1);
        if rows >= self.grid[0] {
            Bands::new(batch, self.grid[0], rows / self.grid[0], self.grid[0])
        } else {
            Bands::new(batch, self.grid[0], 1, rows)
        }
    }

    /// Floats that [`view`](Self::view) needs for the largest of `bands`: none if no copy is needed.
    pub(super) fn copy_len(&self, bands: &Bands) -> usize {
        if self.inside() {
            return 0;
        }
        let [height, width] = self.extent(bands.rows);
        bands.images * height * width * self.channels
    }

    /// Makes the pixels of `band` readable without a thought for borders. `copy` holds
    /// [`copy_len`](Self::copy_len) floats.
    pub(super) fn view(&self, x: &[f32], band: &Band, copy: &mut [f32]) -> BandView {
        let image_len = self.in_size[0] * self.in_size[1] * self.channels;
        let images = &x[band.first_image * image_len..][..band.images * image_len];
        if self.inside() {
            let row_pitch = self.in_size[1] * self.channels;
            let row = self.origin[0] as usize + band.first_row * self.step[0];
            let start = images[row * row_pitch + self.origin[1] as usize * self.channels..].as_ptr();
            return BandView {
                start,
                image_pitch: image_len,
                row_pitch,
            };
        }
        let [height, width] = self.extent(band.rows);
        let row_pitch = width * self.channels;
        let image_pitch = height * row_pitch;
        let first_row = self.origin[0] + (band.first_row * self.step[0]) as isize;
        let copy = &mut copy[..band.images * image_pitch];
        for (image, copy) in images
            .chunks_exact(image_len.max(1))
            .zip(copy.chunks_exact_mut(image_pitch))
        {
            for (row, copy) in copy.chunks_exact_mut(row_pitch).enumerate() {
                match usize::try_from(first_row + row as isize) {
                    Ok(row) if row < self.in_size[0] => self.copy_row(image, row, copy),
                    _ => copy.fill(0.0),
                }
            }
        }
        BandView {
            start: copy.as_ptr(),
            image_pitch,
            row_pitch,
        }
    }

    /// Copies one row of pixels from column `origin[1]` on, zero where there are none.
    fn copy_row(&self, image: &[f32], row: usize, copy: &mut [f32]) {
        let width = copy.len() / self.channels;
        let left = self.origin[1].min(0).unsigned_abs().min(width);
        let first = self.origin[1].max(0) as usize;
        let count = self.in_size[1].saturating_sub(first).min(width - left);
        let source = &image[(row * self.in_size[1] + first.min(self.in_size[1])) * self.channels..];
        let (zeros, rest) = copy.split_at_mut(left * self.channels);
        let (pixels, right) = rest.split_at_mut(count * self.channels);
        zeros.fill(0.0);
        pixels.copy_from_slice(&source[..count * self.channels]);
        right.fill(0.0);
    }
}
