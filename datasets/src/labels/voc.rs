//! Pascal VOC: one XML file for each image, `annotation/object` with `name`, `bndbox` and `difficult`.
//!
//! Files of the challenge itself count pixels from 1 and include the last one; they say so by their `source/database`.
//! Those of other tools (labelImg) have edges, from 0. Format:
//! <http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/index.html>.

use roxmltree::{Document, Node};

use super::class_names::NamedClasses;
use super::source::Problems;
use super::{BoxRole, LabelSet, LabelSource, LabelledBox};
use crate::DatasetError;
use crate::text::TextFile;

pub(super) fn read(source: &LabelSource, problems: &mut Problems) -> Result<LabelSet, DatasetError> {
    NamedClasses::read_set(source, "xml", problems, boxes)
}

fn boxes(
    file: &TextFile,
    classes: &mut NamedClasses,
    problems: &mut Problems,
) -> Result<Vec<LabelledBox>, DatasetError> {
    let parsed = Document::parse(&file.content)
        .map_err(|error| file.unexpected_at(Some(error.pos().row as usize), "XML", error.to_string()));
    let Some(document) = problems.keep(parsed)? else { return Ok(Vec::new()) };
    let root = Element { file, node: document.root_element() };
    let counts_from_one = root.child("source").and_then(|source| source.text("database"));
    let counts_from_one = counts_from_one.is_some_and(|database| database.starts_with("The VOC"));
    let mut boxes = Vec::new();
    for object in document.root_element().children().filter(|node| node.has_tag_name("object")) {
        let object = Element { file, node: object };
        boxes.extend(problems.keep(object.labelled_box(classes, counts_from_one))?);
    }
    Ok(boxes)
}

/// A node that knows its file.
#[derive(Clone, Copy)]
struct Element<'a, 'input> {
    file: &'a TextFile,
    node: Node<'a, 'input>,
}

impl<'a> Element<'a, '_> {
    fn child(self, name: &str) -> Option<Self> {
        let node = self.node.children().find(|node| node.has_tag_name(name))?;
        Some(Self { node, ..self })
    }

    fn text(self, name: &str) -> Option<&'a str> {
        self.child(name)?.node.text().map(str::trim)
    }

    fn unexpected(self, expected: impl Into<String>, found: impl Into<String>) -> DatasetError {
        let line = self.node.document().text_pos_at(self.node.range().start).row;
        self.file.unexpected_at(Some(line as usize), expected, found)
    }

    fn number(self, name: &str) -> Result<f64, DatasetError> {
        let text = self.text(name).unwrap_or("nothing");
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| self.unexpected(format!("a finite number as {name}"), format!("`{text}`")))
    }

    fn labelled_box(
        self,
        classes: &mut NamedClasses,
        counts_from_one: bool,
    ) -> Result<LabelledBox, DatasetError> {
        let name = self.text("name").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| self.unexpected("a name of the object's class", "none"))?;
        let frame = self.child("bndbox").ok_or_else(|| self.unexpected("a bndbox", "none"))?;
        let [left, top] = [frame.number("xmin")?, frame.number("ymin")?];
        let [right, bottom] = [frame.number("xmax")?, frame.number("ymax")?];
        if right < left || bottom < top {
            let found = format!("({left}, {top}) and ({right}, {bottom})");
            return Err(
                frame.unexpected("a right end behind the left and a lower end below the upper", found)
            );
        }
        let class_id = classes.id(name).ok_or_else(|| self.unexpected(classes.expected(), name))?;
        let first = if counts_from_one { 1.0 } else { 0.0 };
        let found =
            LabelledBox::new(class_id, left - first, top - first, right - left + first, bottom - top + first);
        let is_difficult = self.text("difficult").is_some_and(|text| text != "0");
        let role = if is_difficult { BoxRole::Optional } else { BoxRole::Object };
        Ok(LabelledBox { role, ..found })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use image::GrayImage;
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::labels::LabelFormat;

    fn object(name: &str, frame: [&str; 4], more: &str) -> String {
        let [left, top, right, bottom] = frame;
        format!(
            "<object>\n<name>{name}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>\
             </bndbox>{more}</object>\n"
        )
    }

    fn set(content: &str) -> TempDir {
        let root = tempdir().unwrap();
        for folder in ["JPEGImages", "Annotations"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        GrayImage::new(64, 32).save(root.path().join("JPEGImages/a1.png")).unwrap();
        fs::write(root.path().join("Annotations/a1.xml"), format!("<annotation>\n{content}</annotation>"))
            .unwrap();
        root
    }

    fn read(root: &Path) -> Result<LabelSet, DatasetError> {
        LabelSource::new(root, LabelFormat::Voc).read()
    }

    #[test]
    fn edges_are_kept_and_classes_sorted() {
        let part = "<part><name>wheel</name></part><difficult>1</difficult>";
        let content =
            object("van", ["1", "2.5", "11", "12"], "") + &object("car", ["0", "0", "5", "6"], part);
        let set = read(set(&content).path()).unwrap();
        assert_eq!(set.classes, ["car", "van"]);
        let boxes = &set.images[0].boxes;
        assert_eq!(boxes[0], LabelledBox::new(1, 1.0, 2.5, 10.0, 9.5));
        let difficult = LabelledBox { role: BoxRole::Optional, ..LabelledBox::new(0, 0.0, 0.0, 5.0, 6.0) };
        assert_eq!((boxes[1], set.images[0].size), (difficult, (64, 32)));
    }

    #[test]
    fn the_challenge_counts_pixels_from_one() {
        let content = "<source><database>The VOC2007 Database</database></source>\n".to_owned()
            + &object("car", ["1", "1", "64", "32"], "");
        let set = read(set(&content).path()).unwrap();
        assert_eq!(set.images[0].boxes, [LabelledBox::new(0, 0.0, 0.0, 64.0, 32.0)]);
    }

    #[test]
    fn a_file_of_names_is_the_last_word() {
        let root = set(&object("van", ["1", "2", "3", "4"], ""));
        fs::write(root.path().join("classes.txt"), "truck\nvan\n").unwrap();
        assert_eq!(read(root.path()).unwrap().images[0].boxes[0].class_id, 1);
        fs::write(root.path().join("classes.txt"), "truck\ncar\n").unwrap();
        let error = read(root.path()).unwrap_err().to_string();
        assert!(error.contains("expected one of the classes truck, car, found van at line 2"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (content, said) in [
            ("<object>".to_owned(), "expected XML"),
            (
                object("", ["1", "2", "3", "4"], ""),
                "expected a name of the object's class, found none at line 2",
            ),
            (
                object("car", ["1", "NaN", "3", "4"], ""),
                "expected a finite number as ymin, found `NaN` at line 3",
            ),
            (object("car", ["1", "", "3", "4"], ""), "expected a finite number as ymin, found `nothing`"),
            (object("car", ["3", "2", "1", "4"], ""), "found (3, 2) and (1, 4) at line 3"),
            ("<object><name>car</name></object>".to_owned(), "expected a bndbox, found none"),
        ] {
            let error = read(set(&content).path()).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("a1.xml"), "{error}");
        }
    }
}
