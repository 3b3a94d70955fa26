//! Classes of one set as those of another.

use crate::DatasetError;

/// Which classes become which, in the words of the command line: `car=vehicle,truck=vehicle,tree=`. A class without a new
/// name is dropped; one that the map does not mention keeps its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassMap {
    /// From, and to unless it is dropped.
    pairs: Vec<(String, Option<String>)>,
}

impl ClassMap {
    /// Reads pairs `old=new` separated by commas. Blanks around names don't count; blanks within do.
    ///
    /// # Errors
    /// [`DatasetError::Argument`] for a pair without `=`, an empty old name or an old name that comes twice.
    pub fn parse(text: &str) -> Result<Self, DatasetError> {
        let mut map = Self::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let wrong = |expected: &str| DatasetError::Argument {
                expected: expected.to_owned(),
                found: format!("`{pair}`"),
            };
            let (old, new) = pair.split_once('=').ok_or_else(|| wrong("classes as old=new"))?;
            let (old, new) = (old.trim(), new.trim());
            if old.is_empty() {
                return Err(wrong("a class before ="));
            }
            if map.pairs.iter().any(|(known, _)| known == old) {
                return Err(wrong("each class once before ="));
            }
            map.pairs.push((old.to_owned(), (!new.is_empty()).then(|| new.to_owned())));
        }
        Ok(map)
    }

    /// The new name of a class; `None` where it is dropped.
    pub fn name_of<'a>(&'a self, class: &'a str) -> Option<&'a str> {
        match self.pairs.iter().find(|(old, _)| old == class) {
            Some((_, new)) => new.as_deref(),
            None => Some(class),
        }
    }

    /// The names that are left of `classes`, in the order of their first, and for each of `classes` its index among them.
    pub fn apply(&self, classes: &[String]) -> (Vec<String>, Vec<Option<u32>>) {
        let mut names: Vec<String> = Vec::new();
        let indices = classes.iter().map(|class| {
            let name = self.name_of(class)?;
            let known = names.iter().position(|known| known == name);
            let index = known.unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            Some(index as u32)
        });
        let indices = indices.collect();
        (names, indices)
    }

    /// The names before `=` that none of `classes` has: slips of the finger.
    pub fn unused<'a>(&'a self, classes: &[String]) -> Vec<&'a str> {
        let old = self.pairs.iter().map(|(old, _)| old.as_str());
        old.filter(|old| !classes.iter().any(|class| class == old)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn classes_are_joined_dropped_and_kept() {
        let map = ClassMap::parse("car=vehicle, large truck = vehicle,tree=").unwrap();
        let (names, indices) = map.apply(&classes(&["tree", "car", "boat", "large truck"]));
        assert_eq!(names, ["vehicle", "boat"]);
        assert_eq!(indices, [None, Some(0), Some(1), Some(0)]);
        assert_eq!(map.unused(&classes(&["car", "tree"])), ["large truck"]);
    }

    #[test]
    fn a_map_of_nothing_changes_nothing() {
        let names = classes(&["b", "a"]);
        assert_eq!(ClassMap::parse("").unwrap().apply(&names), (names, vec![Some(0), Some(1)]));
    }

    #[test]
    fn slips_are_told() {
        for (text, said) in [
            ("car", "expected classes as old=new, found `car`"),
            ("=vehicle", "expected a class before =, found `=vehicle`"),
            ("car=a,car=b", "expected each class once before =, found `car=b`"),
        ] {
            assert_eq!(ClassMap::parse(text).unwrap_err().to_string(), said);
        }
    }
}
