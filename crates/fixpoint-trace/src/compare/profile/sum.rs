//! Two profiles put together, and one taken out of another.
//!
//! Both are possible since everything is counted and nothing averaged. The surprise: each profile
//! has numbers of its own for names and paths, so everything goes by its text.

use std::collections::HashMap;

use super::{
    NOWHERE, Profile,
    paths::{ABOVE_ALL, EDGE, PathId},
};
use crate::compare::label::{Label, Name, Names};

impl Profile {
    /// Counts all traces of another profile.
    pub fn merge(&mut self, other: &Self) {
        let mut places = vec![ABOVE_ALL; other.paths.len()];
        for (at, path) in other.paths.iter().enumerate().skip(1) {
            let parent = places[path.parent as usize];
            places[at] = match path.label {
                Some(label) if parent != NOWHERE => {
                    let label = self.own_label(label, &other.names);
                    self.find_or_make(parent, label)
                }
                _ => NOWHERE,
            };
        }
        let lines = self.own_lines(other);
        let line = |name: u32| if name == EDGE { EDGE } else { lines[&name] };
        let place = |path: u32| if path == EDGE { EDGE } else { places[path as usize] };
        for (at, path) in other.paths.iter().enumerate() {
            if places[at] == NOWHERE {
                self.left_out += path.spans;
                continue;
            }
            let full = self.weight >= Self::MOST_COUNTED;
            let limit = |most: usize| if full { 0 } else { most };
            let names = &mut self.names;
            let name = |name: Name| names.number(other.names.text(name));
            let into = &mut self.paths[places[at] as usize];
            self.weight -= into.weight();
            into.merge(path, limit, place, name, line);
            self.weight += into.weight();
        }
        self.traces += other.traces;
        self.spans += other.spans;
        self.left_out += other.left_out;
    }

    /// Takes out again what another profile has counted, all of which this one has counted, too:
    /// what stays is the profile of all other traces. Only what was given up stays given up.
    pub fn take_out(&mut self, other: &Self) {
        let known = |name: Name| self.names.known(other.names.text(name));
        let mut places: Vec<Option<PathId>> = vec![Some(ABOVE_ALL); other.paths.len()];
        for (at, path) in other.paths.iter().enumerate().skip(1) {
            let label = path.label.and_then(|label| {
                let (service, name) = (known(label.service)?, known(label.name)?);
                Some(Label { service, name, kind: label.kind })
            });
            let parent = places[path.parent as usize];
            places[at] = parent.zip(label).and_then(|(parent, label)| self.child(parent, label));
        }
        let of_path = |path: u32| if path == EDGE { Some(EDGE) } else { places[path as usize] };
        let of_line = |line: u32| match line {
            EDGE => Some(EDGE),
            line => self.names.known(other.names.text_of(line)).map(Name::number),
        };
        for (path, place) in other.paths.iter().zip(&places) {
            let Some(place) = *place else { continue };
            let from = &mut self.paths[place as usize];
            self.weight -= from.weight();
            from.take_out(path, of_path, known, of_line);
            self.weight += from.weight();
            if from.spans == 0
                && let Some(label) = from.label
            {
                let parent = from.parent;
                self.below.remove(&(parent, label));
                self.paths[parent as usize].children.retain(|&child| child != place);
            }
        }
        self.traces = self.traces.saturating_sub(other.traces);
        self.spans = self.spans.saturating_sub(other.spans);
        self.left_out = self.left_out.saturating_sub(other.left_out);
    }

    fn own_label(&mut self, label: Label, names: &Names) -> Label {
        Label {
            service: self.names.number(names.text(label.service)),
            name: self.names.number(names.text(label.name)),
            kind: label.kind,
        }
    }

    /// The numbers of another profile's log lines, to those that they have here.
    fn own_lines(&mut self, other: &Self) -> HashMap<u32, u32> {
        let mut lines = HashMap::new();
        let pairs = other.paths.iter().flat_map(|path| path.lines.iter());
        for line in pairs.flat_map(|(&(a, b), _)| [a, b]).filter(|&line| line != EDGE) {
            let names = &mut self.names;
            lines.entry(line).or_insert_with(|| names.number(other.names.text_of(line)).number());
        }
        lines
    }
}
