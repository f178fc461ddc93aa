//! The house prices of Ames, prepared as the book does (section 4.10): of both files together every
//! column but `Id` and `SalePrice` is a feature; numbers are standardised over both files and a
//! missing one becomes 0; text is one-hot with "missing" as a value of its own. 331 features come
//! of the official files.
//!
//! ```
//! use candle_core::Device;
//! use d2l_data::{SourceOptions, house_prices};
//!
//! let options = SourceOptions { offline: true, system_dir: None, ..SourceOptions::default() };
//! let houses = house_prices::load(&options)?;
//! let (xs, prices) = houses.train(&Device::Cpu)?;
//! assert_eq!((xs.dims(), prices.dims()), (&[1460, 331][..], &[1460, 1][..]));
//! # Ok::<(), d2l_data::Error>(())
//! ```

use candle_core::{Device, Tensor};

use crate::datasets::HOUSE_PRICES;
use crate::error::{Error, Result};
use crate::official::{read_table, sha256};
use crate::provenance::Provenance;
use crate::source::{Place, SourceOptions, first_of};
use crate::table::{Features, Numbers, Table};

const ID: &str = "Id";
const PRICE: &str = "SalePrice";

/// The house prices: features of all houses, prices of the first ones.
#[derive(Clone, Debug)]
pub struct HousePrices {
    /// Of the training houses, then of the test houses.
    features: Features,
    /// Of the training houses, in dollars.
    prices: Vec<f32>,
    /// Of the test houses.
    test_ids: Vec<u64>,
    /// Where the files came from, with their digests.
    pub provenance: Provenance,
}

/// Loads the house prices from the first source that has them; see [`crate::source`] for the order.
///
/// # Errors
/// If a named directory lacks the files, or a file is broken: [`Error::Csv`] names file, line and
/// column.
pub fn load(options: &SourceOptions<'_>) -> Result<HousePrices> {
    first_of((&HOUSE_PRICES).into(), options, |place| {
        let houses = read(place)?;
        let provenance = houses.provenance.clone();
        Ok((houses, provenance))
    })
}

fn read(place: &Place) -> Result<HousePrices> {
    let (mut tables, mut digests) = (Vec::new(), Vec::new());
    for file in place.files() {
        let bytes = read_table(file.open()?).map_err(|error| Error::io("read", file.path(), error))?;
        let digest = sha256(&bytes);
        file.check(&digest)?;
        tables.push(Table::parse(&bytes, &file.path().display().to_string())?);
        digests.push(digest);
    }
    let (Some(test), Some(train)) = (tables.pop(), tables.pop()) else {
        return Err(Error::Options("the house prices have two files".to_owned()));
    };
    HousePrices::new(train, test, place.provenance(digests))
}

impl HousePrices {
    /// Prepares the two tables, the first of which has the prices.
    fn new(train: Table, test: Table, provenance: Provenance) -> Result<Self> {
        let prices = train.complete_numbers(PRICE)?;
        if let Some(row) = prices.iter().position(|&price| price <= 0.0) {
            return Err(train.bad_cell(row, PRICE, "a price has to be above 0"));
        }
        let ids = test.complete_numbers(ID)?;
        let test_ids = ids.iter().enumerate().map(|(row, &id)| {
            // Whole numbers that a double holds exactly.
            let whole = id.fract() == 0.0 && (0.0..=9e15).contains(&id);
            whole
                .then_some(id as u64)
                .ok_or_else(|| test.bad_cell(row, ID, format!("{id} is no whole number")))
        });
        let test_ids = test_ids.collect::<Result<_>>()?;
        let all = train
            .without(PRICE)?
            .without(ID)?
            .followed_by(&test.without(ID)?)?;
        Ok(Self {
            features: all.features(Numbers::Standardised)?,
            prices: prices.iter().map(|&price| price as f32).collect(),
            test_ids,
            provenance,
        })
    }

    /// The features of all houses: those with a price first, then the test houses.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The prices in dollars.
    pub fn prices(&self) -> &[f32] {
        &self.prices
    }

    /// The numbers of the test houses, as a submission names them.
    pub fn test_ids(&self) -> &[u64] {
        &self.test_ids
    }

    /// The training houses: features `[n, features]` and prices `[n, 1]`, both `f32`.
    ///
    /// # Errors
    /// If the device cannot hold them.
    pub fn train(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let count = self.prices.len();
        let prices = Tensor::from_slice(&self.prices, (count, 1), device)?;
        Ok((self.features.tensor(0..count, device)?, prices))
    }

    /// The features of the test houses, `[n, features]` of `f32`.
    ///
    /// # Errors
    /// If the device cannot hold them.
    pub fn test(&self, device: &Device) -> Result<Tensor> {
        self.features
            .tensor(self.prices.len()..self.features.rows(), device)
    }

    /// The CSV file that Kaggle takes: `Id,SalePrice` with a predicted price for every test house.
    ///
    /// # Errors
    /// [`Error::Options`] if there are more or fewer prices than test houses, or one is not finite.
    pub fn submission(&self, prices: &[f32]) -> Result<String> {
        if prices.len() != self.test_ids.len() {
            return Err(Error::Options(format!(
                "a submission has a price for each of the {} test houses, got {}",
                self.test_ids.len(),
                prices.len()
            )));
        }
        let mut text = format!("{ID},{PRICE}\n");
        for (id, price) in self.test_ids.iter().zip(prices) {
            if !price.is_finite() {
                return Err(Error::Options(format!(
                    "the predicted price of house {id} is {price}"
                )));
            }
            text += &format!("{id},{price}\n");
        }
        Ok(text)
    }
}
