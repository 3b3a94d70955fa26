//! Frames to depth.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use geometry::{DepthImage, Frame};
use nn::kernels::Kernel;
use nn::preprocess::{Picture, Preprocessing};
use nn::{Network, Port};

use super::{DepthDescription, DepthQuantity};
use crate::error::VoError;

/// A network that sees depth in single frames, with what its file says of its output.
///
/// ```no_run
/// use kestrel_vo::{DepthNetwork, VoError};
///
/// # fn look(frame: &geometry::Frame) -> Result<(), VoError> {
/// let mut network = DepthNetwork::open("depth_int8.onnx".as_ref())?;
/// let (width, height) = frame.size();
/// let depth = network.predict(frame)?.depth(width, height);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DepthNetwork {
    network: Network,
    inputs: Vec<Port>,
    preprocessing: Preprocessing,
    description: DepthDescription,
    /// Index of the output that is read, and its width and height.
    output: usize,
    size: (usize, usize),
}

impl DepthNetwork {
    /// The network in the ONNX file at `path`, on the best kernel of this processor.
    ///
    /// # Errors
    /// [`VoError::File`] where it can't be read, else as [`DepthNetwork::read`].
    pub fn open(path: &Path) -> Result<Self, VoError> {
        let bytes = fs::read(path).map_err(|error| VoError::File { path: path.to_owned(), error })?;
        Self::read(&bytes, Kernel::best())
    }

    /// The network in the `bytes` of an ONNX file.
    ///
    /// # Errors
    /// [`VoError::Network`] where they are no network that runs here, [`VoError::Description`] where they don't describe
    /// a depth network, take more than one picture, or lack the output that they describe.
    pub fn read(bytes: &[u8], kernel: Kernel) -> Result<Self, VoError> {
        let description = DepthDescription::of_file(bytes)?;
        let network = Network::read(bytes, kernel)?;
        let inputs: Vec<Port> = network.inputs().cloned().collect();
        let preprocessing = Preprocessing::of_file(bytes, &inputs)?;
        let pictures = preprocessing.pictures(&inputs)?;
        if pictures != 1 {
            let found = format!("one of {pictures}");
            return Err(VoError::Description { expected: "a depth network of one picture", found });
        }
        let (output, size) = described_output(&network, &description)?;
        Ok(Self { network, inputs, preprocessing, description, output, size })
    }

    /// Has `threads` share the work.
    ///
    /// # Errors
    /// [`VoError::Network`] where they can't be had.
    pub fn with_threads(self, threads: usize) -> Result<Self, VoError> {
        Ok(Self { network: self.network.with_threads(threads)?, ..self })
    }

    /// What its file says of its output.
    pub fn description(&self) -> &DepthDescription {
        &self.description
    }

    /// The network inside.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How far everything in `frame` is. The frame is stretched to the network's input.
    ///
    /// # Errors
    /// [`VoError::Network`] where a node in float fails.
    pub fn predict(&mut self, frame: &Frame) -> Result<PredictedDepth, VoError> {
        let (width, height) = frame.size();
        let rgb = colors(frame);
        let picture = Picture::new(width, height, &rgb)?;
        for (index, values) in self.preprocessing.inputs(&self.inputs, &[picture]).iter().enumerate() {
            self.network.input(index).copy_from_slice(values);
        }
        self.network.run()?;
        Ok(self.read_output())
    }

    fn read_output(&self) -> PredictedDepth {
        let (width, height) = self.size;
        let DepthDescription { activation, slope, offset, quantity, metres_per_unit, .. } = self.description;
        let values = self.network.output(self.output);
        let known = |value: f32| if value.is_finite() && value > 0.0 { value } else { 0.0 };
        let value = |index: usize| known(slope * activation.of(values[index]) + offset);
        let values = DepthImage::from_fn(width, height, |x, y| [value(y * width + x)]);
        PredictedDepth { values, quantity, metres_per_unit }
    }
}

/// The colours of a frame, three values for each pixel; grey where it has none.
pub(crate) fn colors(frame: &Frame) -> Cow<'_, [u8]> {
    match &frame.rgb {
        Some(rgb) => Cow::Borrowed(rgb.as_slice()),
        None => frame.gray.as_slice().iter().flat_map(|&value| [value; 3]).collect(),
    }
}

/// Index, width and height of the output that `description` names.
fn described_output(
    network: &Network,
    description: &DepthDescription,
) -> Result<(usize, (usize, usize)), VoError> {
    let found = network.outputs().enumerate().find(|(_, port)| port.name == description.output);
    match found.map(|(index, port)| (index, &*port.shape)) {
        Some((index, &[1, 1, height, width])) => Ok((index, (width, height))),
        _ => Err(VoError::Description {
            expected: "the output [1, 1, height, width] that kestrel.depth names",
            found: format!("{:?} without `{}`", network.outputs().collect::<Vec<_>>(), description.output),
        }),
    }
}

/// What a depth network sees in one frame, as coarse as it sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedDepth {
    /// 0 where unknown.
    values: DepthImage,
    quantity: DepthQuantity,
    metres_per_unit: Option<f32>,
}

impl PredictedDepth {
    /// Whether it is in metres, and not in a unit that nobody knows.
    pub fn is_metric(&self) -> bool {
        self.metres_per_unit.is_some()
    }

    /// Width and height of what the network puts out, in pixels.
    pub fn size(&self) -> (usize, usize) {
        self.values.size()
    }

    /// Distances along the optical axis for an image of `width` and `height`, 0 where unknown; in metres where
    /// [`is_metric`](Self::is_metric), else in the network's unit. What the network puts out is interpolated before it is
    /// inverted, as Godard et al. (ICCV 2019) do.
    pub fn depth(&self, width: usize, height: usize) -> DepthImage {
        let mut depth = self.values.resized(width, height);
        let unit = self.metres_per_unit.unwrap_or(1.0);
        for value in depth.as_mut_slice().iter_mut().filter(|value| **value > 0.0) {
            *value = match self.quantity {
                DepthQuantity::InverseDepth => unit / *value,
                DepthQuantity::Depth => unit * *value,
            };
        }
        depth
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use geometry::{PinholeCamera, RgbImage, Timestamp};
    use nn::architecture::{Builder, Convolution, Weights};

    use super::super::OutputActivation;
    use super::*;

    pub(in super::super) fn description() -> DepthDescription {
        DepthDescription {
            output: "disparity".to_owned(),
            quantity: DepthQuantity::InverseDepth,
            activation: OutputActivation::None,
            slope: 2.0,
            offset: 0.1,
            metres_per_unit: None,
        }
    }

    /// Sees brightness: the mean of the channels, from 0 to 1, at every `stride`-th pixel.
    pub(in super::super) fn file(description: &DepthDescription, channels: usize, stride: usize) -> Vec<u8> {
        let mut network = Builder::new(channels);
        let image = network.input();
        let look = Convolution { kernel: 1, stride, groups: 1, bias: true };
        let brightness = network.convolution("b", image, 1, look);
        let architecture = network.finish(&[("disparity", brightness)]);
        let weights = vec![1.0 / channels as f32; channels];
        let values = [("b.weight", weights), ("b.bias", vec![0.0])];
        let weights = Weights { values: values.map(|(name, values)| (name.to_owned(), values)).into() };
        let mut metadata = Preprocessing::default().metadata();
        metadata.push(description.metadata());
        architecture.to_onnx(&weights, [8, 16], &metadata).unwrap()
    }

    pub(in super::super) fn frame(rgb: RgbImage, is_gray: bool) -> Frame {
        let (width, height) = rgb.size();
        Frame {
            stamp: Timestamp::from_nanos(0),
            seq: 0,
            gray: Arc::new(rgb.to_gray()),
            rgb: (!is_gray).then(|| Arc::new(rgb)),
            camera: Arc::new(PinholeCamera::from_horizontal_fov(width, height, 1.2).unwrap()),
        }
    }

    #[test]
    fn what_is_bright_is_near() {
        let mut network = DepthNetwork::read(&file(&description(), 3, 1), Kernel::best()).unwrap();
        let halves = RgbImage::from_fn(32, 16, |x, _| [if x < 16 { 255 } else { 0 }; 3]);
        for is_gray in [false, true] {
            let predicted = network.predict(&frame(halves.clone(), is_gray)).unwrap();
            assert_eq!((predicted.size(), predicted.is_metric()), ((16, 8), false));
            let depth = predicted.depth(32, 16);
            let (near, far) = (depth.pixel(2, 8)[0], depth.pixel(29, 8)[0]);
            assert!((near - 1.0 / 2.1).abs() < 1e-4 && (far - 10.0).abs() < 1e-3, "{near} {far}");
        }
    }

    #[test]
    fn depths_and_units_are_read_as_described() {
        let metric = DepthDescription {
            quantity: DepthQuantity::Depth,
            slope: 10.0,
            offset: 0.0,
            metres_per_unit: Some(3.0),
            ..description()
        };
        let mut network = DepthNetwork::read(&file(&metric, 3, 2), Kernel::best()).unwrap();
        let predicted = network.predict(&frame(RgbImage::filled(16, 8, [51; 3]), false)).unwrap();
        assert_eq!((predicted.size(), predicted.is_metric()), ((8, 4), true));
        assert!((predicted.depth(16, 8).pixel(5, 5)[0] - 6.0).abs() < 1e-4);
        let logistic = DepthDescription { activation: OutputActivation::Sigmoid, ..metric.clone() };
        let mut network = DepthNetwork::read(&file(&logistic, 3, 2), Kernel::best()).unwrap();
        let predicted = network.predict(&frame(RgbImage::filled(16, 8, [51; 3]), false)).unwrap();
        assert!((predicted.depth(16, 8).pixel(5, 5)[0] - 30.0 / (1.0 + (-0.2_f32).exp())).abs() < 1e-3);
        let below = DepthDescription { offset: -5.0, ..metric };
        let mut network = DepthNetwork::read(&file(&below, 3, 2), Kernel::best()).unwrap();
        let predicted = network.predict(&frame(RgbImage::filled(16, 8, [51; 3]), false)).unwrap();
        assert_eq!(predicted.depth(16, 8).pixel(5, 5), [0.0], "no depth lies behind the camera");
    }

    #[test]
    fn what_is_no_depth_network_is_refused() {
        let refused = |bytes: &[u8]| DepthNetwork::read(bytes, Kernel::best()).unwrap_err().to_string();
        assert!(refused(b"nothing").contains("no ONNX model"));
        let other = DepthDescription { output: "depth".to_owned(), ..description() };
        assert!(refused(&file(&other, 3, 1)).contains("without `depth`"));
        assert!(refused(&file(&description(), 6, 1)).contains("one picture, found one of 2"));
        let flat = DepthDescription { slope: 0.0, ..description() };
        assert!(refused(&file(&flat, 3, 1)).contains("slope other than 0"));
        let silent = {
            let mut network = Builder::new(3);
            let image = network.input();
            let x = network.convolution("b", image, 1, Convolution::new(1, 1));
            let weights = Weights { values: [("b.weight".to_owned(), vec![1.0; 3])].into() };
            network.finish(&[("disparity", x)]).to_onnx(&weights, [8, 8], &[]).unwrap()
        };
        assert!(refused(&silent).contains("the metadata of a depth network (kestrel.depth), found none"));
        assert!(matches!(DepthNetwork::open("/nowhere.onnx".as_ref()), Err(VoError::File { .. })));
    }
}
