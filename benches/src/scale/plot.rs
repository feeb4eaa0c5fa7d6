//! A plot as SVG: panels below each other in two columns, both axes logarithmic.

use std::fmt::Write;

use crate::table::number;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 34.0;
const COLUMNS: usize = 2;
const COLOURS: [&str; 6] = [
    "#c2410c", "#1d4ed8", "#15803d", "#7e22ce", "#a16207", "#334155",
];

/// A diagram.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) series: Vec<Series>,
}

/// A line in it.
pub(super) struct Series {
    pub(super) name: String,
    /// Both coordinates positive.
    pub(super) points: Vec<(f64, f64)>,
}

/// A logarithmic axis over some decades, drawn between two places.
struct Axis {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let most = values.fold(f64::MIN_POSITIVE, f64::max);
        let first = least.min(most).log10().floor() as i32;
        let last = (most.log10().ceil() as i32).max(first + 1);
        Axis {
            first,
            last,
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let part = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + part * (self.to - self.from)
    }

    fn decades(&self) -> impl Iterator<Item = f64> + use<> {
        (self.first..=self.last).map(|decade| 10f64.powi(decade))
    }
}

/// Draws all panels.
pub(super) fn draw(panels: &[Panel]) -> String {
    let rows = panels.len().div_ceil(COLUMNS);
    let (width, height) = (WIDTH * COLUMNS as f64, HEIGHT * rows as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let x = (index % COLUMNS) as f64 * WIDTH;
        let y = (index / COLUMNS) as f64 * HEIGHT;
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">");
        // Writing to a string does not fail.
        let _ = draw_panel(panel, &mut svg);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_panel(panel: &Panel, svg: &mut String) -> std::fmt::Result {
    let points = || panel.series.iter().flat_map(|series| series.points.iter());
    let across = Axis::over(points().map(|(x, _)| *x), LEFT, WIDTH - RIGHT);
    let up = Axis::over(points().map(|(_, y)| *y), HEIGHT - BOTTOM, TOP);
    writeln!(svg, "<text x=\"{LEFT}\" y=\"18\">{}</text>", panel.title)?;
    for value in across.decades() {
        let (x, bottom) = (across.place(value), HEIGHT - BOTTOM);
        writeln!(
            svg,
            "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{value}</text>",
            bottom + 16.0
        )?;
    }
    for value in up.decades() {
        let (y, right) = (up.place(value), WIDTH - RIGHT);
        writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            number(value)
        )?;
    }
    for (index, series) in panel.series.iter().enumerate() {
        draw_series(series, index, &across, &up, svg)?;
    }
    Ok(())
}

fn draw_series(
    series: &Series,
    index: usize,
    across: &Axis,
    up: &Axis,
    svg: &mut String,
) -> std::fmt::Result {
    let colour = COLOURS[index % COLOURS.len()];
    let places: Vec<String> = series
        .points
        .iter()
        .map(|(x, y)| format!("{:.1},{:.1}", across.place(*x), up.place(*y)))
        .collect();
    writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
        places.join(" ")
    )?;
    let y = HEIGHT - BOTTOM - 10.0 - 15.0 * index as f64;
    writeln!(
        svg,
        "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\" fill=\"{colour}\">{}</text>",
        WIDTH - RIGHT - 8.0,
        series.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_covers_whole_decades() {
        let axis = Axis::over([3.0, 450.0].into_iter(), 0.0, 300.0);
        assert_eq!(
            axis.decades().collect::<Vec<_>>(),
            [1.0, 10.0, 100.0, 1000.0]
        );
        assert!((axis.place(10.0) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn an_axis_of_one_value_has_an_extent() {
        let axis = Axis::over([10.0].into_iter(), 0.0, 1.0);
        assert!(axis.place(10.0).is_finite());
    }

    #[test]
    fn every_series_is_drawn() {
        let series = |name: &str| Series {
            name: name.to_owned(),
            points: vec![(1.0, 5.0), (10.0, 50.0)],
        };
        let panel = Panel {
            title: "growth".to_owned(),
            series: vec![series("one"), series("two")],
        };
        let svg = draw(&[panel]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
    }
}
