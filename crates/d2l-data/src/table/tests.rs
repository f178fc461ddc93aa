use super::*;
use candle_core::Device;

const HOUSE_TINY: &str = "NumRooms,Alley,Price\nNA,Pave,127500\n2,NA,106000\n4,NA,178100\nNA,NA,140000\n";

fn table(text: &str) -> Table {
    Table::read(text.as_bytes(), "t.csv").unwrap()
}

fn message(text: impl AsRef<[u8]>) -> String {
    Table::read(text.as_ref(), "t.csv").unwrap_err().to_string()
}

/// Section 2.2: the mean is filled in, and "missing" is a value of its own.
#[test]
fn the_books_tiny_table() {
    let whole = table(HOUSE_TINY);
    assert_eq!(
        whole.complete_numbers("Price").unwrap(),
        [127500., 106000., 178100., 140000.]
    );
    assert_eq!(whole.kind("Alley").unwrap(), ColumnKind::Text);
    let inputs = whole.without("Price").unwrap();
    let features = inputs.features(Numbers::MeanFilled).unwrap();
    assert_eq!(features.names(), ["NumRooms", "Alley_Pave", "Alley_nan"]);
    let tensor = features.tensor(0..4, &Device::Cpu).unwrap();
    assert_eq!(
        tensor.to_vec2::<f32>().unwrap(),
        [[3., 1., 0.], [2., 0., 1.], [4., 0., 1.], [3., 0., 1.]]
    );
    assert_eq!(features.row(1).unwrap(), [2., 0., 1.]);
    assert!(features.row(4).is_none() && features.tensor(2..5, &Device::Cpu).is_err());
}

#[test]
fn columns_are_standardised_by_the_deviation_of_a_sample() {
    let features = table("a,b,c\n1,7,\n3,7,NA\nNA,7,\n")
        .features(Numbers::Standardised)
        .unwrap();
    assert_eq!(
        features.names(),
        ["a", "b", "c"],
        "a column without a value is of numbers"
    );
    let half = std::f32::consts::FRAC_1_SQRT_2;
    assert_eq!(features.row(0).unwrap(), [-half, 0., 0.]);
    assert_eq!(features.row(1).unwrap(), [half, 0., 0.]);
    assert_eq!(features.row(2).unwrap(), [0., 0., 0.]);
}

#[test]
fn bad_tables_are_named_by_file_line_and_column() {
    for (text, parts) in [
        ("", &["t.csv: the file is empty"][..]),
        ("\n\n", &["t.csv: the file is empty"]),
        ("a,b\n", &["no row"]),
        ("a,a\n1,2\n", &["line 1", "column `a`", "two columns"]),
        ("a,,c\n1,2,3\n", &["line 1", "column 2 has no name"]),
        ("a,b\n1,2\n3\n", &["line 3", "1 cells where the header has 2"]),
        ("a,b\n1,2\n3,4,5\n", &["line 3", "3 cells"]),
        ("a,b\n1,\"2\n3,4\n", &[]),
    ] {
        if parts.is_empty() {
            // An open quote takes the rest of the file for one cell; the row is whole all the same.
            assert_eq!(table(text).rows(), 1);
            continue;
        }
        let message = message(text);
        assert!(
            parts.iter().all(|part| message.contains(part)),
            "{text:?}: {message}"
        );
    }
    assert!(message([b"a,b\n1,".as_slice(), &[0xff, 0xfe], b"\n"].concat()).contains("not UTF-8"));
    let wide = (0..=MAX_COLUMNS)
        .map(|i| i.to_string())
        .collect::<Vec<_>>()
        .join(",");
    assert!(message(format!("{wide}\n")).contains("no more than 10000"));
    let table = table("a,b\n1,x\n2,\ninf,3\n");
    assert!(
        table
            .numbers("b")
            .unwrap_err()
            .to_string()
            .contains("t.csv, line 2, column `b`: `x`")
    );
    assert!(
        table
            .numbers("a")
            .unwrap_err()
            .to_string()
            .contains("line 4, column `a`: `inf`")
    );
    assert!(
        table
            .complete_numbers("c")
            .unwrap_err()
            .to_string()
            .contains("column `c`")
    );
    assert!(
        table.features(Numbers::MeanFilled).is_err(),
        "infinity is no feature"
    );
    let large = Table::read("a\n1\n1e39\n".as_bytes(), "t.csv").unwrap();
    assert!(
        large
            .numbers("a")
            .unwrap_err()
            .to_string()
            .contains("line 3, column `a`: `1e39`")
    );
}

#[test]
fn tables_of_the_same_columns_follow_each_other() {
    let both = table("a,b\n1,x\n")
        .followed_by(&table("a,b\n2,y\n3,z\n"))
        .unwrap();
    assert_eq!(both.numbers("a").unwrap(), [Some(1.), Some(2.), Some(3.)]);
    assert!(
        table("a,b\n1,2\n")
            .followed_by(&table("a,c\n1,2\n"))
            .unwrap_err()
            .to_string()
            .contains("`b` where")
    );
    assert!(table("a,b\n1,2\n").followed_by(&table("a\n1\n")).is_err());
    // A column that is of numbers in one table only is of text.
    let both = table("a\n1\n").followed_by(&table("a\nx\n")).unwrap();
    assert_eq!(
        both.features(Numbers::MeanFilled).unwrap().names(),
        ["a_1", "a_x", "a_nan"]
    );
}

#[test]
fn too_many_features_are_refused_before_they_are_made() {
    let rows: String = (0..20_000).map(|row| format!("v{row}\n")).collect();
    let error = table(&format!("id\n{rows}"))
        .features(Numbers::MeanFilled)
        .unwrap_err();
    assert!(error.to_string().contains("column `id`"), "{error}");
}

proptest::proptest! {
    /// Whatever the bytes are, reading ends with a table or an error.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        if let Ok(table) = Table::read(bytes.as_slice(), "fuzz.csv") {
            let _ = table.features(Numbers::Standardised);
        }
    }

    /// One-hot columns of a column of text add up to 1 in every row.
    #[test]
    fn one_hot_adds_up_to_one(cells in proptest::collection::vec("[abc]?", 1..20)) {
        let text: String = cells.iter().map(|cell| format!("{cell},x\n")).collect();
        let features = table(&format!("v,w\n{text}")).without("w").unwrap().features(Numbers::MeanFilled).unwrap();
        if features.names() != ["v"] {
            for row in 0..features.rows() {
                assert_eq!(features.row(row).unwrap().iter().sum::<f32>(), 1.0);
            }
        }
    }
}
