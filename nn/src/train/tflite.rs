//! Weights out of TensorFlow Lite files, to begin a training with.
//!
//! A file is a FlatBuffer (<https://flatbuffers.dev/internals/>) of TensorFlow's `schema_v3.fbs`. Only what holds the weights
//! of convolutions is read. Batch normalisation is folded into them there.

use half::f16;
use thiserror::Error;

/// A convolution with its bias.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedConvolution {
    /// Name of its weights in the file.
    pub name: String,
    /// `[out, in / groups, height, width]`.
    pub shape: [usize; 4],
    /// Values in C order.
    pub weight: Vec<f32>,
    /// What is added to each channel.
    pub bias: Vec<f32>,
}

/// A file that is none, or not one with convolutions in floating point.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TfliteError {
    /// Something points outside the file.
    #[error("expected a TensorFlow Lite file, found a broken one: {0} is outside it")]
    Broken(&'static str),
    /// Not this kind of file at all.
    #[error("expected a TensorFlow Lite file, which has the letters TFL3 from its fifth byte on")]
    Foreign,
    /// Weights that are no floating-point numbers.
    #[error(
        "expected weights of 16 or 32 bits in floating point in `{name}`, found type {found} of the schema"
    )]
    Type {
        /// The tensor.
        name: String,
        /// Its type.
        found: u8,
    },
}

/// The convolutions of `file`, in the order in which they are carried out.
///
/// # Errors
/// [`TfliteError`] where it is broken or its weights are quantised.
pub fn convolutions(file: &[u8]) -> Result<Vec<TrainedConvolution>, TfliteError> {
    if file.get(4..8) != Some(b"TFL3") {
        return Err(TfliteError::Foreign);
    }
    let model = Table::root(file)?;
    let codes = model.tables(1, "operator codes")?;
    let graph = *model.tables(2, "graphs")?.first().ok_or(TfliteError::Broken("the graph"))?;
    let reader = Reader {
        buffers: model.tables(4, "buffers")?,
        tensors: graph.tables(0, "tensors")?,
        unpacked: Vec::new(),
    };
    reader.convolutions(&codes, &graph.tables(3, "operators")?)
}

/// Numbers of operators and types in the schema.
const CONVOLUTION: i32 = 3;
const DEPTHWISE: i32 = 4;
const DEQUANTIZE: i32 = 6;
const FLOAT32: u8 = 0;
const FLOAT16: u8 = 1;

struct Reader<'a> {
    buffers: Vec<Table<'a>>,
    tensors: Vec<Table<'a>>,
    /// Tensors that are others in more bits, and those.
    unpacked: Vec<(usize, usize)>,
}

impl<'a> Reader<'a> {
    fn convolutions(
        mut self,
        codes: &[Table<'a>],
        operators: &[Table<'a>],
    ) -> Result<Vec<TrainedConvolution>, TfliteError> {
        let mut found = Vec::new();
        for operator in operators {
            let code =
                codes.get(operator.number(0)? as usize).ok_or(TfliteError::Broken("an operator code"))?;
            let inputs = operator.numbers(1, "inputs of an operator")?;
            // Old files have the code in the first field alone.
            match i32::from(code.byte(0)?).max(code.number(3)?) {
                DEQUANTIZE => {
                    let outputs = operator.numbers(2, "outputs of an operator")?;
                    self.unpacked.extend(outputs.into_iter().zip(inputs));
                }
                kind @ (CONVOLUTION | DEPTHWISE) => {
                    let [_, weight, bias] = inputs[..] else {
                        return Err(TfliteError::Broken("the bias of a convolution"));
                    };
                    found.push(self.convolution(weight, bias, kind == DEPTHWISE)?);
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn convolution(
        &self,
        weight: usize,
        bias: usize,
        is_depthwise: bool,
    ) -> Result<TrainedConvolution, TfliteError> {
        let tensor = self.tensor(weight)?;
        let shape = tensor.numbers(0, "a shape")?;
        let values = self.values(&tensor)?;
        let [out, height, width, read] = shape[..] else {
            return Err(TfliteError::Broken("a side of a filter"));
        };
        if values.len() != out * height * width * read {
            return Err(TfliteError::Broken("a filter"));
        }
        // Filters lie [out, height, width, in] there, those of depthwise convolutions [1, height, width, channels].
        let (out, read, strides) = match is_depthwise {
            true => (read, 1, [1, 0, width * read, read]),
            false => (out, read, [height * width * read, 1, width * read, read]),
        };
        let shape = [out, read, height, width];
        let at = |index: usize| {
            let x = index % width;
            let y = index / width % height;
            let from = index / (width * height);
            let place = [from / read, from % read, y, x];
            values[place.iter().zip(strides).map(|(place, stride)| place * stride).sum::<usize>()]
        };
        let weight = (0..values.len()).map(at).collect();
        let bias = self.values(&self.tensor(bias)?)?;
        if bias.len() != out {
            return Err(TfliteError::Broken("a bias"));
        }
        Ok(TrainedConvolution { name: tensor.text(3)?, shape, weight, bias })
    }

    /// A tensor, where it is another in more bits, that one.
    fn tensor(&self, index: usize) -> Result<Table<'a>, TfliteError> {
        let packed = self.unpacked.iter().find(|(unpacked, _)| *unpacked == index);
        let index = packed.map_or(index, |(_, packed)| *packed);
        self.tensors.get(index).copied().ok_or(TfliteError::Broken("a tensor"))
    }

    fn values(&self, tensor: &Table<'a>) -> Result<Vec<f32>, TfliteError> {
        let buffer = self.buffers.get(tensor.number(2)? as usize).ok_or(TfliteError::Broken("a buffer"))?;
        let bytes = buffer.bytes(0, "data of a buffer")?;
        match tensor.byte(1)? {
            FLOAT32 => Ok(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
            FLOAT16 => {
                Ok(bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect())
            }
            found => Err(TfliteError::Type { name: tensor.text(3)?, found }),
        }
    }
}

/// A table of a FlatBuffer: fields by number, each of which may be missing.
#[derive(Clone, Copy)]
struct Table<'a> {
    file: &'a [u8],
    start: usize,
    fields: usize,
}

impl<'a> Table<'a> {
    fn root(file: &'a [u8]) -> Result<Self, TfliteError> {
        Self::at(file, word(file, 0, "the root")? as usize)
    }

    fn at(file: &'a [u8], start: usize) -> Result<Self, TfliteError> {
        let back = word(file, start, "a table")? as i32;
        let fields =
            i64::try_from(start).ok().and_then(|start| usize::try_from(start - i64::from(back)).ok());
        Ok(Self { file, start, fields: fields.ok_or(TfliteError::Broken("a list of fields"))? })
    }

    /// Where a field is.
    fn field(&self, index: usize) -> Result<Option<usize>, TfliteError> {
        let half = |at: usize| {
            let bytes = self.file.get(at..at + 2).and_then(|bytes| bytes.first_chunk());
            bytes.map(|bytes| usize::from(u16::from_le_bytes(*bytes))).ok_or(TfliteError::Broken("a field"))
        };
        let entry = 4 + 2 * index;
        if entry + 2 > half(self.fields)? {
            return Ok(None);
        }
        let offset = half(self.fields + entry)?;
        Ok((offset > 0).then_some(self.start + offset))
    }

    /// A byte; 0 where it is missing.
    fn byte(&self, index: usize) -> Result<u8, TfliteError> {
        let Some(at) = self.field(index)? else { return Ok(0) };
        self.file.get(at).copied().ok_or(TfliteError::Broken("a byte"))
    }

    /// A number; 0 where it is missing.
    fn number(&self, index: usize) -> Result<i32, TfliteError> {
        let Some(at) = self.field(index)? else { return Ok(0) };
        Ok(word(self.file, at, "a number")? as i32)
    }

    /// The start and the length of a list, in elements.
    fn list(&self, index: usize, what: &'static str) -> Result<(usize, usize), TfliteError> {
        let Some(at) = self.field(index)? else { return Ok((0, 0)) };
        let start = at + word(self.file, at, what)? as usize;
        let length = word(self.file, start, what)? as usize;
        Ok((start + 4, length))
    }

    fn bytes(&self, index: usize, what: &'static str) -> Result<&'a [u8], TfliteError> {
        let (start, length) = self.list(index, what)?;
        self.file.get(start..).and_then(|rest| rest.get(..length)).ok_or(TfliteError::Broken(what))
    }

    fn text(&self, index: usize) -> Result<String, TfliteError> {
        Ok(String::from_utf8_lossy(self.bytes(index, "a name")?).into_owned())
    }

    fn words(&self, index: usize, what: &'static str) -> Result<Vec<(usize, u32)>, TfliteError> {
        let (start, length) = self.list(index, what)?;
        let end = length.checked_mul(4).and_then(|bytes| start.checked_add(bytes));
        if end.is_none_or(|end| end > self.file.len()) {
            return Err(TfliteError::Broken(what));
        }
        (0..length).map(|i| start + 4 * i).map(|at| Ok((at, word(self.file, at, what)?))).collect()
    }

    fn numbers(&self, index: usize, what: &'static str) -> Result<Vec<usize>, TfliteError> {
        Ok(self.words(index, what)?.into_iter().map(|(_, number)| number as usize).collect())
    }

    fn tables(&self, index: usize, what: &'static str) -> Result<Vec<Self>, TfliteError> {
        let words = self.words(index, what)?.into_iter();
        words.map(|(at, offset)| Self::at(self.file, at + offset as usize)).collect()
    }
}

fn word(file: &[u8], at: usize, what: &'static str) -> Result<u32, TfliteError> {
    let bytes = file.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map(|bytes| u32::from_le_bytes(*bytes)).ok_or(TfliteError::Broken(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_published_detector() {
        const FILE: &str =
            "models/ssd-mobilenetv2-oidv4-fp16/object_detection_ssd_mobilenetv2_oidv4_fp16.tflite";
        let Some(path) = geometry::test_data::shared_data(FILE) else { return };
        let file = std::fs::read(path).unwrap();
        let found = convolutions(&file).unwrap();
        assert_eq!(found[0].shape, [32, 3, 3, 3]);
        assert_eq!(found[1].shape, [32, 1, 3, 3]);
        assert_eq!(found[2].shape, [16, 32, 1, 1]);
        // As the schema's own reader gives them: filter 31 at blue, row 1, column 2; channel 21 at row 2, column 0.
        let close = |found: f32, wanted: f32| assert!((found - wanted).abs() < 1e-7, "{found}");
        close(found[0].weight[((31 * 3 + 2) * 3 + 1) * 3 + 2], -3.498_046_9);
        close(found[1].weight[21 * 9 + 6], 0.192_504_88);
        close(found[2].bias[3], 7.234_375);
        for length in (0..file.len()).step_by(file.len() / 97) {
            assert!(convolutions(&file[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        assert_eq!(convolutions(b"not a model at all"), Err(TfliteError::Foreign));
        assert!(matches!(convolutions(b"\xff\xff\xff\x7fTFL3"), Err(TfliteError::Broken(_))));
    }
}
