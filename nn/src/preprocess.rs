//! From pictures to what networks take.

use std::str::FromStr;

use crate::error::NnError;
use crate::metadata::metadata;
use crate::onnx::Port;
use crate::taps::Taps;

/// What becomes of a picture before a network sees it: resized to the input, its colours in the order of the channels,
/// and each value `(value / 255 - mean) / deviation`.
///
/// A network of more channels than a picture has takes as many pictures, one behind the other, as fill them: pose
/// networks see three in nine channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocessing {
    /// Which channels, in which order.
    pub colors: Colors,
    /// Taken from the channels, in the order of `colors`; grey uses the first.
    pub mean: [f32; 3],
    /// Divides the channels, in the order of `colors`; grey uses the first.
    pub deviation: [f32; 3],
}

/// Channels of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colors {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Luminance, by the weights of ITU-R BT.601.
    Gray,
}

/// A picture in eight bits: `[height, width, 3]`, red, green, blue.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    width: usize,
    height: usize,
    rgb: &'a [u8],
}

/// Where ONNX files say how to make their input.
const KEYS: [&str; 3] = ["kestrel.input.colors", "kestrel.input.mean", "kestrel.input.deviation"];

impl Default for Preprocessing {
    /// Red, green, blue from 0 to 1.
    fn default() -> Self {
        Self { colors: Colors::Rgb, mean: [0.0; 3], deviation: [1.0; 3] }
    }
}

impl Preprocessing {
    /// What the ONNX file in `bytes` says in its metadata (`kestrel.input.colors`, `.mean`, `.deviation`), and the default
    /// for what it does not say. A network whose inputs have one channel takes grey unless it says otherwise.
    ///
    /// # Errors
    /// [`NnError::File`] where the bytes are no ONNX file, [`NnError::Shape`] where a value is none of its kind.
    pub fn of_file(bytes: &[u8], inputs: &[Port]) -> Result<Self, NnError> {
        let metadata = metadata(bytes)?;
        let said = |key: &str| metadata.get(key).map(|value| &**value);
        let is_gray = inputs.iter().all(|port| matches!(*port.shape, [_, 1, _, _]));
        let default = Self::default();
        let colors = if is_gray { Colors::Gray } else { default.colors };
        Ok(Self {
            colors: said(KEYS[0]).map_or(Ok(colors), str::parse)?,
            mean: said(KEYS[1]).map_or(Ok(default.mean), triple)?,
            deviation: said(KEYS[2]).map_or(Ok(default.deviation), triple)?,
        })
    }

    /// Keys and values that say this in the metadata of a file.
    pub fn metadata(&self) -> Vec<(String, String)> {
        let text = |values: [f32; 3]| values.map(|value| value.to_string()).join(",");
        let colors = self.colors.name().to_owned();
        let values = [colors, text(self.mean), text(self.deviation)];
        KEYS.into_iter().map(str::to_owned).zip(values).collect()
    }

    /// How many pictures, one behind the other, a run takes.
    ///
    /// # Errors
    /// [`NnError::Shape`] where an input is no image of as many channels as pictures fill.
    pub fn pictures(&self, inputs: &[Port]) -> Result<usize, NnError> {
        let pictures = |port: &Port| match *port.shape {
            [1, channels, _, _] if channels % self.channels() == 0 => Ok(channels / self.channels()),
            _ => Err(NnError::Shape {
                expected: "inputs [1, channels, height, width] that pictures fill",
                found: format!("{} {:?} for {} pictures", port.name, port.shape, self.colors.name()),
            }),
        };
        inputs.iter().map(pictures).sum()
    }

    /// The values of `inputs` from as many `pictures` as [`Preprocessing::pictures`] says; missing ones are left out.
    pub fn inputs(&self, inputs: &[Port], pictures: &[Picture<'_>]) -> Vec<Vec<f32>> {
        let mut pictures = pictures.iter();
        let of_port = |port: &Port| {
            let &[_, channels, height, width] = &*port.shape else { return Vec::new() };
            let taken = pictures.by_ref().take(channels / self.channels());
            taken.flat_map(|picture| self.planes(picture, [height, width])).collect()
        };
        inputs.iter().map(of_port).collect()
    }

    /// A picture as `[channels, height, width]` of an input.
    pub fn planes(&self, picture: &Picture<'_>, [height, width]: [usize; 2]) -> Vec<f32> {
        let resized = picture.resized([height, width]);
        let mut planes = Vec::with_capacity(self.channels() * height * width);
        for channel in 0..self.channels() {
            let (mean, deviation) = (self.mean[channel], self.deviation[channel]);
            let value = |pixel: &[f32; 3]| (self.colors.channel(pixel, channel) / 255.0 - mean) / deviation;
            planes.extend(resized.iter().map(value));
        }
        planes
    }

    fn channels(&self) -> usize {
        if self.colors == Colors::Gray { 1 } else { 3 }
    }
}

impl Colors {
    /// Its name, as [`Colors::from_str`] takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
            Self::Gray => "gray",
        }
    }

    fn channel(self, &[red, green, blue]: &[f32; 3], channel: usize) -> f32 {
        match self {
            Self::Rgb => [red, green, blue][channel],
            Self::Bgr => [blue, green, red][channel],
            Self::Gray => 0.299 * red + 0.587 * green + 0.114 * blue,
        }
    }
}

impl FromStr for Colors {
    type Err = NnError;

    /// `rgb`, `bgr` or `gray`.
    ///
    /// # Errors
    /// [`NnError::Shape`] where it is none of these.
    fn from_str(text: &str) -> Result<Self, NnError> {
        [Self::Rgb, Self::Bgr, Self::Gray]
            .into_iter()
            .find(|colors| colors.name() == text)
            .ok_or_else(|| NnError::Shape { expected: "rgb, bgr or gray", found: text.to_owned() })
    }
}

/// One number for all channels, or three separated by commas.
///
/// # Errors
/// [`NnError::Shape`] where they are no finite numbers.
pub fn triple(text: &str) -> Result<[f32; 3], NnError> {
    let numbers: Option<Vec<f32>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[value]) if value.is_finite() => Ok([value; 3]),
        Some(&[a, b, c]) if [a, b, c].iter().all(|value| value.is_finite()) => Ok([a, b, c]),
        _ => Err(NnError::Shape {
            expected: "one number, or three separated by commas",
            found: text.to_owned(),
        }),
    }
}

impl<'a> Picture<'a> {
    /// A picture over `rgb`.
    ///
    /// # Errors
    /// [`NnError::Length`] where there are not three values for each of `width * height` pixels, [`NnError::Shape`] where
    /// there are no pixels.
    pub fn new(width: usize, height: usize, rgb: &'a [u8]) -> Result<Self, NnError> {
        crate::error::check_length("a picture", width * height * 3, rgb.len())?;
        if rgb.is_empty() {
            return Err(NnError::Shape { expected: "a picture", found: format!("{width}x{height}") });
        }
        Ok(Self { width, height, rgb })
    }

    /// The picture stretched to `[height, width]`: linear interpolation, over as many pixels as become one.
    fn resized(&self, [height, width]: [usize; 2]) -> Vec<[f32; 3]> {
        let (across, down) = (Taps::new(self.width, width), Taps::new(self.height, height));
        let rows = self.rgb.as_chunks::<3>().0.chunks_exact(self.width);
        let along = |row: &[[u8; 3]]| -> Vec<_> {
            (0..width).map(|to| blend(&across, to, |x| row[x].map(f32::from))).collect()
        };
        let narrow: Vec<Vec<[f32; 3]>> = rows.map(along).collect();
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        places.map(|(x, to)| blend(&down, to, |y| narrow[y][x])).collect()
    }
}

/// The new pixel at `to` of old ones.
fn blend(taps: &Taps, to: usize, pixel: impl Fn(usize) -> [f32; 3]) -> [f32; 3] {
    let mut sums = [0.0; 3];
    for (at, weight) in taps.of(to) {
        let pixel = pixel(at);
        (0..3).for_each(|channel| sums[channel] += weight * pixel[channel]);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(shape: [usize; 4]) -> Port {
        Port { name: "image".into(), shape: shape.to_vec() }
    }

    #[test]
    fn resizing_keeps_what_is_even_and_averages_what_is_not() {
        let ramp: Vec<u8> = (0..4).flat_map(|x| [x * 10; 3]).collect();
        let halves = Picture::new(4, 1, &ramp).unwrap().resized([1, 2]);
        assert!((halves[0][0] + halves[1][0] - 30.0).abs() < 1e-4 && halves[0][0] < 10.0, "{halves:?}");
        assert_eq!(Picture::new(4, 1, &ramp).unwrap().resized([1, 4])[2], [20.0; 3]);
        assert!(Picture::new(2, 2, &[0; 5]).is_err() && Picture::new(0, 2, &[]).is_err());
    }

    #[test]
    fn channels_come_in_order_and_scaled() {
        let pixel = [255, 51, 0];
        let picture = Picture::new(1, 1, &pixel).unwrap();
        let of = |colors, channels| {
            let preprocessing = Preprocessing { colors, mean: [0.5, 0.2, 0.0], deviation: [0.5, 1.0, 2.0] };
            preprocessing.inputs(&[port([1, channels, 1, 1])], &[picture; 3])[0].clone()
        };
        let near = |found: Vec<f32>, expected: &[f32]| {
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5) && found.len() == expected.len()
        };
        assert!(near(of(Colors::Rgb, 3), &[1.0, 0.0, 0.0]));
        assert!(near(of(Colors::Bgr, 3), &[-1.0, 0.0, 0.5]));
        assert!(near(of(Colors::Gray, 1), &[(0.299 + 0.587 * 0.2 - 0.5) / 0.5]));
        assert_eq!(of(Colors::Rgb, 9).len(), 9);
    }

    #[test]
    fn as_many_pictures_as_fill_the_inputs() {
        let rgb = Preprocessing::default();
        assert_eq!(rgb.pictures(&[port([1, 9, 4, 4])]), Ok(3));
        assert_eq!(rgb.pictures(&[port([1, 3, 4, 4]), port([1, 6, 4, 4])]), Ok(3));
        assert!(rgb.pictures(&[port([1, 4, 4, 4])]).is_err());
        assert!(rgb.pictures(&[Port { name: "state".into(), shape: vec![1, 9] }]).is_err());
    }

    #[test]
    fn files_say_what_they_take() {
        use prost::Message;
        use tract_onnx::pb::{ModelProto, StringStringEntryProto};

        let said = Preprocessing { colors: Colors::Bgr, mean: [0.485, 0.456, 0.406], deviation: [0.25; 3] };
        let of = |metadata: Vec<(String, String)>| {
            let entry = |(key, value)| StringStringEntryProto { key, value };
            let metadata_props = metadata.into_iter().map(entry).collect();
            ModelProto { metadata_props, ..ModelProto::default() }.encode_to_vec()
        };
        assert_eq!(Preprocessing::of_file(&of(said.metadata()), &[]), Ok(said));
        let silent = of(Vec::new());
        let gray = Preprocessing::of_file(&silent, &[port([1, 1, 4, 4])]).unwrap();
        assert_eq!(gray.colors, Colors::Gray);
        assert_eq!(Preprocessing::of_file(&silent, &[port([1, 3, 4, 4])]), Ok(Preprocessing::default()));
        let wrong = of(vec![(KEYS[1].into(), "bright".into())]);
        assert!(Preprocessing::of_file(&wrong, &[]).unwrap_err().to_string().contains("bright"));
        assert!(Preprocessing::of_file(b"no file", &[]).is_err());
    }
}
