//! The few pieces of HTML that reports are made of.

/// Text as it may stand in an element or in an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// How a column is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    Text,
    /// Text that stays on one line where there is room.
    Short,
    Number,
    /// A number that only says how many the others are made of.
    Count,
    /// Smaller and paler.
    Aside,
}

/// A table that scrolls sideways by itself on a narrow screen; the first row is the header.
pub(super) fn table(rows: &[Vec<String>], columns: &[Cell]) -> String {
    // Tables with protocols are too wide for a phone: the style sheet stacks their cells there.
    let class = if columns.contains(&Cell::Aside) { " class=\"figures\"" } else { "" };
    let mut html = format!("<div class=\"scroll\"><table{class}>");
    for (index, row) in rows.iter().enumerate() {
        let tag = if index == 0 { "th" } else { "td" };
        let cells = row.iter().zip(columns).map(|(cell, column)| {
            let class = match column {
                Cell::Text => "",
                Cell::Short => " class=\"short\"",
                Cell::Count => " class=\"count\"",
                Cell::Number => " class=\"number\"",
                Cell::Aside => " class=\"aside\"",
            };
            format!("<{tag}{class}>{}</{tag}>", escape(cell))
        });
        html.push_str(&format!("<tr>{}</tr>\n", cells.collect::<String>()));
    }
    html.push_str("</table></div>\n");
    html
}

/// A section with its heading; nothing where the body is empty.
pub(super) fn section(heading: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!("<section><h2>{}</h2>\n{body}</section>\n", escape(heading))
}

/// A bulleted list; nothing where there are no items.
pub(super) fn list<'a>(items: impl Iterator<Item = &'a String>) -> String {
    let items: String = items.map(|item| format!("<li>{}</li>\n", escape(item))).collect();
    if items.is_empty() { items } else { format!("<ul>\n{items}</ul>\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_markup_survives() {
        assert_eq!(escape("<a href=\"x\">'&'"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;");
    }

    #[test]
    fn empty_sections_vanish() {
        assert_eq!(section("Notes", &list(std::iter::empty())), "");
    }
}
