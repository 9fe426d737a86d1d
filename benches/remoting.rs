//! `rgpu bench remoting`: what remoting costs, against the bare transport and the local software GPU.

use std::fmt::Write as _;

use crate::peer::Bare;
use crate::probe::Measured;
use crate::stats::{Samples, show_seconds};

/// One row of the table.
#[derive(Debug, Clone)]
struct Row {
    what: String,
    ours: Samples,
    against: &'static str,
    theirs: Samples,
}

/// Figures of one transport.
#[derive(Debug)]
pub struct Transport {
    /// `tcp` or `shm`.
    pub name: &'static str,
    /// The remote program.
    pub remote: Measured,
    /// The bare peer over the same transport.
    pub bare: Bare,
}

/// Clients of [`Crowd`].
pub const CLIENTS: usize = 16;

/// Seconds per launch of all clients together.
#[derive(Debug, Clone, Default)]
pub struct Crowd {
    /// One client.
    pub one: Samples,
    /// [`CLIENTS`] at once.
    pub many: Samples,
}

/// The table, in Markdown.
pub fn table(
    transports: &[Transport],
    local: &Measured,
    first: &[(&str, Samples)],
    crowd: &Crowd,
) -> String {
    let mut text = String::from(
        "| measurement | median (least to greatest) | against | median | ratio |\n|---|---|---|---|---|\n",
    );
    for transport in transports {
        for row in rows(transport, local) {
            line(&mut text, &row);
        }
    }
    if let [(_, local), remote @ ..] = first {
        for (name, samples) in remote {
            let row = Row {
                what: format!("first kernel's result in a fresh process, {name}"),
                ours: samples.clone(),
                against: "the same on the local software GPU",
                theirs: local.clone(),
            };
            line(&mut text, &row);
        }
    }
    let row = Row {
        what: format!(
            "a launch of {CLIENTS} clients at once, their number a second turned over, tcp"
        ),
        ours: crowd.many.clone(),
        against: "a launch of one client",
        theirs: crowd.one.clone(),
    };
    line(&mut text, &row);
    text
}

fn rows(transport: &Transport, local: &Measured) -> Vec<Row> {
    let (name, remote, bare) = (transport.name, &transport.remote, &transport.bare);
    let row = |what: &str, ours: &Samples, against, theirs: &Samples| Row {
        what: format!("{what}, {name}"),
        ours: ours.clone(),
        against,
        theirs: theirs.clone(),
    };
    vec![
        row(
            "posted launch, 8 parameters, client CPU time",
            &remote.launch_cpu,
            "copying its bytes into a ring",
            &remote.ring,
        ),
        row(
            "launches in a row and one wait, per launch",
            &remote.launch_wall,
            "the same on the local software GPU",
            &local.launch_wall,
        ),
        row(
            "cuCtxSynchronize on an idle device",
            &remote.wait,
            "a bare 64-byte ping-pong",
            &bare.ping,
        ),
        row(
            "cuCtxSynchronize on an idle device after 1 ms without calls",
            &remote.quiet_wait,
            "a bare 64-byte ping-pong likewise",
            &bare.quiet_ping,
        ),
        row(
            "allocate, copy in, launch, copy out, free (4 KiB)",
            &remote.cycle,
            "a bare 64-byte ping-pong",
            &bare.ping,
        ),
        row(
            "host to device, pageable",
            &remote.copy_in,
            "a bare stream of the same bytes",
            &bare.send,
        ),
        row(
            "device to host, pageable",
            &remote.copy_out,
            "a bare stream of the same bytes",
            &bare.fetch,
        ),
        row(
            "host to device, pageable",
            &remote.copy_in,
            "one memcpy of the same bytes",
            &remote.memcpy,
        ),
        row(
            "device to host, pageable",
            &remote.copy_out,
            "one memcpy of the same bytes",
            &remote.memcpy,
        ),
    ]
}

fn line(text: &mut String, row: &Row) {
    let (least, greatest) = row.ours.spread();
    let (ours, theirs) = (row.ours.median(), row.theirs.median());
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "| {} | {} ({} to {}) | {} | {} | {:.2} |",
        row.what,
        show_seconds(ours),
        show_seconds(least),
        show_seconds(greatest),
        row.against,
        show_seconds(theirs),
        ours / theirs
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_states_its_ratio() {
        let samples = |value| Samples(vec![value]);
        let remote = Measured {
            wait: samples(3e-5),
            ..Measured::default()
        };
        let bare = Bare {
            ping: samples(2e-5),
            ..Bare::default()
        };
        let transport = Transport {
            name: "tcp",
            remote,
            bare,
        };
        let text = table(&[transport], &Measured::default(), &[], &Crowd::default());
        let row = text
            .lines()
            .find(|line| line.contains("cuCtxSynchronize on an idle device, tcp"))
            .expect("row");
        assert!(row.ends_with("| 20.00 µs | 1.50 |"), "{row}");
    }
}
