//! The figures of the experiment as PNG.

use std::path::Path;
use std::sync::Once;

use anyhow::{Context as _, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use super::{Measured, PHASES, Scenario};

const SIZE: (u32, u32) = (1200, 720);
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 5] = [
    RGBColor(136, 146, 160),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 114, 178),
];

/// Room between the bars of two lengths, in bars.
const GAP: f64 = 1.0;

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Draws all figures for which something was measured into `folder`; `note` goes below each title.
///
/// # Errors
/// A file cannot be written.
pub fn draw(measured: &Measured, note: &str, folder: &Path) -> anyhow::Result<()> {
    fonts()?;
    let picture = |name: &str, title: &str, body: &dyn Fn(&Area<'_>) -> anyhow::Result<()>| {
        let path = folder.join(name);
        let area = BitMapBackend::new(&path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let rest = area.titled(title, (FONT, 26))?.titled(note, (FONT, 16))?;
        body(&rest)?;
        area.present()
            .with_context(|| format!("cannot write {}", path.display()))
    };
    if !measured.runs.is_empty() {
        let title = "Phases of one movie; for each length, from left: console local, CPU only, remote, local GPU";
        picture("echo-phases.png", title, &|area| phases(measured, area))?;
    }
    if measured.delays().len() > 1 {
        picture(
            "echo-delays.png",
            "One movie on the remote GPU, by the delay added to a round trip",
            &|area| delays(measured, area),
        )?;
    }
    if !measured.together.is_empty() {
        picture(
            "echo-together.png",
            "Movies at once: one shared remote GPU against one job at a time",
            &|area| together(measured, area),
        )?;
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

/// Stacked bars: a group for each length, a bar for each scenario.
fn phases(measured: &Measured, area: &Area<'_>) -> anyhow::Result<()> {
    let lengths = measured.lengths();
    let group = Scenario::ALL.len() as f64 + GAP;
    let kinds = lengths.iter().enumerate().flat_map(|(place, &frames)| {
        let bar = move |(n, scenario)| (place as f64 * group + n as f64, (scenario, frames, 0.0));
        Scenario::ALL.into_iter().enumerate().map(bar)
    });
    let mut bars = Vec::new();
    for (left, kind) in kinds {
        let mut bottom = 0.0;
        for phase in 0..PHASES.len() {
            let Some(seconds) = measured.median(kind, |run| run.phases[phase]) else {
                continue;
            };
            bars.push((
                phase,
                [(left + 0.05, bottom), (left + 0.95, bottom + seconds)],
            ));
            bottom += seconds;
        }
    }
    let highest = bars
        .iter()
        .map(|(_, [_, (_, top)])| *top)
        .fold(0.0, f64::max);
    let width = group * lengths.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(-GAP / 2.0..width - GAP / 2.0, 0.0..highest * 1.15)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .x_desc(format!(
            "frames: {}",
            lengths
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ))
        .y_desc("seconds, median")
        .label_style((FONT, 16))
        .draw()?;
    for (phase, name) in PHASES.iter().enumerate() {
        let colour = COLOURS[phase];
        let of_phase = bars.iter().filter(|(of, _)| *of == phase);
        chart
            .draw_series(of_phase.map(|(_, corners)| Rectangle::new(*corners, colour.filled())))?
            .label(*name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 6), (x + 14, y + 6)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font((FONT, 16))
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}

fn delays(measured: &Measured, area: &Area<'_>) -> anyhow::Result<()> {
    let series = measured.delays().into_iter().map(|delay| {
        let points = measured.lengths().into_iter().filter_map(|frames| {
            let kind = (Scenario::PlatformRemote, frames, delay);
            Some((f64::from(frames), measured.median(kind, |run| run.total)?))
        });
        (format!("{delay} ms"), points.collect())
    });
    lines(area, "frames", series.collect())
}

fn together(measured: &Measured, area: &Area<'_>) -> anyhow::Result<()> {
    let mut series = Vec::new();
    for delay in measured.together_delays() {
        for (shared, name) in [(true, "shared"), (false, "one at a time")] {
            let points = measured.numbers().into_iter().filter_map(|movies| {
                let seconds = measured.median_together(movies, shared, delay)?;
                Some((f64::from(movies), seconds))
            });
            series.push((format!("{name}, {delay} ms"), points.collect()));
        }
    }
    lines(area, "movies", series)
}

/// A line for each series, all from zero.
fn lines(area: &Area<'_>, x: &str, series: Vec<(String, Vec<(f64, f64)>)>) -> anyhow::Result<()> {
    let points = || series.iter().flat_map(|(_, points)| points);
    let right = points().map(|point| point.0).fold(1.0, f64::max);
    let top = points().map(|point| point.1).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..right * 1.05, 0.0..top * 1.15)?;
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc("seconds from upload to end, median")
        .label_style((FONT, 16))
        .draw()?;
    for (number, (name, points)) in series.into_iter().enumerate() {
        // Neighbours differ in colour; where colours come again, the line is thinner.
        let colour = COLOURS[number % COLOURS.len()];
        let style = colour.stroke_width(if number < COLOURS.len() { 3 } else { 1 });
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style).point_size(4))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font((FONT, 16))
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Run, Together};
    use super::*;

    #[test]
    fn figures_are_pictures_with_every_phase_in_its_colour() {
        let folder = tempfile::tempdir().unwrap();
        let run = |scenario, delay_ms| Run {
            scenario,
            frames: 60,
            delay_ms,
            phases: [1.0; PHASES.len()],
            total: 5.0,
            remote: None,
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
        draw(&measured, "a note", folder.path()).unwrap();
        for name in ["echo-phases.png", "echo-delays.png", "echo-together.png"] {
            let size = image::image_dimensions(folder.path().join(name)).unwrap();
            assert_eq!(size, SIZE, "{name}");
        }
        let picture = image::open(folder.path().join("echo-phases.png"))
            .unwrap()
            .to_rgb8();
        for RGBColor(r, g, b) in COLOURS {
            let count = picture
                .pixels()
                .filter(|pixel| pixel.0 == [r, g, b])
                .count();
            // Two bars of equal phases: more than the legend's square.
            assert!(count > 5_000, "{count} pixels of {r}, {g}, {b}");
        }
    }
}
