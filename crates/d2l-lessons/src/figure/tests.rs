use super::*;

fn svg(figure: &Figure) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figure.svg");
    figure.save(&file).unwrap();
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn every_panel_has_its_axes_title_and_legend() {
    let panel = |name: &str| {
        let chart = Chart::new("time", "size").title(format!("title {name}"));
        Panel::Chart(chart.line(format!("line {name}"), [(0.0, 0.0), (20.0, f64::NAN), (1.0, 1.0)]))
    };
    let svg = svg(&Figure::row([panel("a"), panel("b")]));
    for text in ["title a", "title b", "line a", "line b", "time", "size"] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(!svg.contains("NaN"));
}

#[test]
fn two_epochs_have_no_tick_between_them() {
    let chart = |label| Figure::chart(Chart::new(label, "loss").line("loss", [(1.0, 1.0), (2.0, 0.5)]));
    assert!(svg(&chart("time")).contains(">1.2<"));
    assert!(!svg(&chart("epoch")).contains(">1.2<"));
}

#[test]
fn a_title_may_have_two_lines_and_what_cannot_be_drawn_is_an_error() {
    let picture = Panel::Picture(Picture {
        title: "truth\nprediction".into(),
        rows: vec![vec![0.0, 1.0]],
        values: false,
    });
    let drawn = svg(&Figure::row([picture.clone()]));
    assert!(drawn.contains(">truth<") && drawn.contains(">prediction<"));
    let mixed = Figure::row([picture, Panel::Chart(Chart::new("x", "y"))]);
    for figure in [Figure::default(), mixed] {
        assert!(figure.save(Path::new("figure.svg")).is_err());
    }
}
