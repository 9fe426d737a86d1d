//! The figures of the experiment as PNG.

use std::path::Path;
use std::sync::Once;

use anyhow::{Context as _, anyhow};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use super::{Measured, PHASES, REST, Run, Scenario};

const SIZE: (u32, u32) = (1200, 720);
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 5] = [
    RGBColor(136, 146, 160),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 114, 178),
];

const PAPER_GREY: RGBColor = RGBColor(214, 218, 224);
const MARGIN: u32 = 16;

/// Room between the bars of two lengths, in bars.
const GAP: f64 = 1.0;

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
/// Values along both axes.
type Plane = Cartesian2d<RangedCoordf64, RangedCoordf64>;

/// One line of a chart.
struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    colour: RGBColor,
    dashed: bool,
}

/// Draws all figures for which something was measured into `folder`; `note` goes below each title.
///
/// # Errors
/// A file cannot be written.
pub fn draw(measured: &Measured, note: &[&str], folder: &Path) -> anyhow::Result<()> {
    fonts()?;
    let picture =
        |name: &str, title: &str, key: &str, body: &dyn Fn(&Area<'_>) -> anyhow::Result<()>| {
            let path = folder.join(name);
            let area = BitMapBackend::new(&path, SIZE).into_drawing_area();
            area.fill(&WHITE)?;
            let mut rest = area.margin(MARGIN, 0, 0, 0).titled(title, (FONT, 28))?;
            for line in note
                .iter()
                .copied()
                .chain(Some(key).filter(|k| !k.is_empty()))
            {
                rest = rest.titled(line, (FONT, 17))?;
            }
            body(&rest)?;
            area.present()
                .with_context(|| format!("cannot write {}", path.display()))
        };
    if !measured.runs.is_empty() {
        let title = "Phases of classifying one movie";
        picture("echo-phases.png", title, &key(), &|area| {
            phases(measured, area)
        })?;
    }
    if measured.delays().len() > 1 {
        let title = "One movie on the remote GPU, by the delay added to each round trip";
        picture("echo-delays.png", title, "", &|area| {
            let seconds = |run: &Run| Some(run.total);
            let series = by_delay(measured, seconds);
            lines(
                area,
                ("frames of the movie", "seconds from upload to end"),
                series,
            )
        })?;
    }
    if measured.runs.iter().any(|run| run.remote.is_some()) {
        let title = "How often the program waited for the remote GPU";
        picture("echo-round-trips.png", title, "", &|area| {
            let trips = |run: &Run| run.remote.map(|r| r.round_trips as f64);
            let series = by_delay(measured, trips);
            lines(
                area,
                ("frames of the movie", "round trips of a movie"),
                series,
            )
        })?;
    }
    if !measured.together.is_empty() {
        let title = "Movies at once: one shared remote GPU against one job at a time";
        picture("echo-together.png", title, "", &|area| {
            together(measured, area)
        })?;
    }
    Ok(())
}

/// The figures bring their font along: not every machine has one.
fn fonts() -> anyhow::Result<()> {
    static ONCE: Once = Once::new();
    let mut registered = Ok(());
    ONCE.call_once(|| {
        registered = register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
            .map_err(|_| anyhow!("the font of the figures cannot be read"));
    });
    registered
}

/// The letter under a bar.
fn letter(scenario: usize) -> char {
    char::from(b'A' + scenario as u8)
}

fn key() -> String {
    let named = |(n, scenario): (usize, Scenario)| format!("{} {}", letter(n), scenario.title());
    let all: Vec<String> = Scenario::ALL.into_iter().enumerate().map(named).collect();
    all.join("      ")
}

/// Stacked bars: a group for each length, a bar for each scenario.
fn phases(measured: &Measured, area: &Area<'_>) -> anyhow::Result<()> {
    let names = PHASES.into_iter().chain([REST]);
    let value =
        |run: &Run, phase: usize| run.phases.get(phase).copied().unwrap_or_else(|| run.rest());
    let lengths = measured.lengths();
    let group = Scenario::ALL.len() as f64 + GAP;
    let mut bars = Vec::new();
    let mut letters = Vec::new();
    for (place, &frames) in lengths.iter().enumerate() {
        for (n, scenario) in Scenario::ALL.into_iter().enumerate() {
            let left = place as f64 * group + n as f64;
            let mut bottom = 0.0;
            for phase in 0..=PHASES.len() {
                let kind = (scenario, frames, 0.0);
                let Some(seconds) = measured.median(kind, |run| value(run, phase)) else {
                    continue;
                };
                bars.push((
                    phase,
                    [(left + 0.05, bottom), (left + 0.95, bottom + seconds)],
                ));
                bottom += seconds;
            }
            if bottom > 0.0 {
                letters.push((left + 0.5, letter(n).to_string()));
            }
        }
    }
    let tops = bars.iter().map(|(_, [_, (_, top)])| *top);
    let highest = tops.fold(0.0, f64::max);
    let width = group * lengths.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .x_label_area_size(56)
        .y_label_area_size(64)
        // Above the bars is the legend.
        .build_cartesian_2d(-GAP..width, 0.0..highest * 1.45)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(0)
        .y_desc("seconds, median")
        .label_style((FONT, 17))
        .draw()?;
    for (phase, name) in names.enumerate() {
        let colour = *COLOURS.get(phase).unwrap_or(&PAPER_GREY);
        let of_phase = bars.iter().filter(|(of, _)| *of == phase);
        chart
            .draw_series(of_phase.map(|(_, corners)| Rectangle::new(*corners, colour.filled())))?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 6), (x + 14, y + 6)], colour.filled()));
    }
    legend(&mut chart)?;
    let centred = (FONT, 17)
        .into_text_style(area)
        .pos(Pos::new(HPos::Center, VPos::Top));
    let (area_left, area_top) = area.get_base_pixel();
    let write = |at: f64, below: i32, text: &str| {
        let (x, y) = chart.backend_coord(&(at, 0.0));
        area.draw_text(text, &centred, (x - area_left, y - area_top + below))
    };
    for (at, letter) in &letters {
        write(*at, 6, letter)?;
    }
    for (place, frames) in lengths.iter().enumerate() {
        let middle = place as f64 * group + Scenario::ALL.len() as f64 / 2.0;
        write(middle, 26, &format!("{frames} frames"))?;
    }
    Ok(())
}

/// A value of the remote runs by the length of the movie, a line for each delay.
fn by_delay(measured: &Measured, value: impl Fn(&Run) -> Option<f64>) -> Vec<Series> {
    let delays = measured.delays().into_iter().enumerate();
    let series = delays.map(|(number, delay)| {
        let points = measured.lengths().into_iter().filter_map(|frames| {
            let kind = (Scenario::PlatformRemote, frames, delay);
            let median = measured.median(kind, |run| value(run).unwrap_or(f64::NAN))?;
            median.is_finite().then_some((f64::from(frames), median))
        });
        Series {
            name: format!("{delay} ms added"),
            points: points.collect(),
            colour: COLOURS[(number + 1) % COLOURS.len()],
            dashed: false,
        }
    });
    series.collect()
}

fn together(measured: &Measured, area: &Area<'_>) -> anyhow::Result<()> {
    let mut series = Vec::new();
    for (number, delay) in measured.together_delays().into_iter().enumerate() {
        for (shared, name) in [(true, "sharing the GPU"), (false, "one at a time")] {
            let points = measured.numbers().into_iter().filter_map(|movies| {
                let seconds = measured.median_together(movies, shared, delay)?;
                Some((f64::from(movies), seconds))
            });
            series.push(Series {
                name: format!("{name}, {delay} ms added"),
                points: points.collect(),
                colour: COLOURS[(number + 1) % COLOURS.len()],
                dashed: !shared,
            });
        }
    }
    let axes = ("movies", "seconds from the first upload to the last end");
    lines(area, axes, series)
}

/// A line for each series, all from zero.
fn lines(area: &Area<'_>, (x, y): (&str, &str), series: Vec<Series>) -> anyhow::Result<()> {
    let points = || series.iter().flat_map(|series| &series.points);
    let right = points().map(|point| point.0).fold(1.0, f64::max);
    let top = points().map(|point| point.1).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..right * 1.05, 0.0..top * 1.4)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(if right < 10.0 { right as usize + 1 } else { 8 })
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .x_desc(x)
        .y_desc(format!("{y}, median"))
        .label_style((FONT, 17))
        .draw()?;
    for Series {
        name,
        points,
        colour,
        dashed,
    } in series
    {
        let style = colour.stroke_width(3);
        let dots = points.iter().map(|&at| Circle::new(at, 5, colour.filled()));
        chart.draw_series(dots)?;
        if dashed {
            let dashes = DashedLineSeries::new(points, 8, 6, style);
            chart
                .draw_series(dashes)?
                .label(name)
                .legend(move |(x, y)| DashedPathElement::new([(x, y), (x + 28, y)], 8, 6, style));
        } else {
            chart
                .draw_series(LineSeries::new(points, style))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 28, y)], style));
        }
    }
    legend(&mut chart)
}

fn legend<'a, 'b: 'a>(
    chart: &mut ChartContext<'a, BitMapBackend<'b>, Plane>,
) -> anyhow::Result<()> {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .legend_area_size(36)
        .margin(14)
        .label_font((FONT, 17))
        .background_style(WHITE.mix(0.9))
        .border_style(PAPER_GREY)
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Remote, Run, Together};
    use super::*;

    #[test]
    fn figures_are_pictures_with_every_phase_in_its_colour() {
        let folder = tempfile::tempdir().unwrap();
        let run = |scenario, delay_ms| Run {
            scenario,
            frames: 60,
            delay_ms,
            phases: [1.0; PHASES.len()],
            total: 6.0,
            remote: Some(Remote {
                round_trips: 100,
                bytes_sent: 1,
                bytes_received: 1,
            }),
        };
        let measured = Measured {
            runs: vec![
                run(Scenario::ConsoleLocal, 0.0),
                run(Scenario::PlatformRemote, 0.0),
                run(Scenario::PlatformRemote, 10.0),
            ],
            together: vec![Together {
                movies: 2,
                shared: true,
                delay_ms: 0.0,
                total: 3.0,
            }],
        };
        draw(&measured, &["a note"], folder.path()).unwrap();
        for name in [
            "echo-phases.png",
            "echo-delays.png",
            "echo-round-trips.png",
            "echo-together.png",
        ] {
            let size = image::image_dimensions(folder.path().join(name)).unwrap();
            assert_eq!(size, SIZE, "{name}");
        }
        let picture = image::open(folder.path().join("echo-phases.png"))
            .unwrap()
            .to_rgb8();
        for RGBColor(r, g, b) in COLOURS.into_iter().chain([PAPER_GREY]) {
            let count = picture
                .pixels()
                .filter(|pixel| pixel.0 == [r, g, b])
                .count();
            // Two bars of equal phases: more than the legend's square.
            assert!(count > 5_000, "{count} pixels of {r}, {g}, {b}");
        }
    }
}
