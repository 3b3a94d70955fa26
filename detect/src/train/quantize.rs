//! From what has learnt to what flies.

use nn::NnError;
use nn::quantize::{QuantizeOptions, Quantized, Quantizer, RangeChoice};

use super::batch::BatchMaker;

/// The detector in the ONNX file `float` on bytes. What its values range over is measured on so many `pieces`, made as
/// those that it learns from but as large as its input.
///
/// # Errors
/// [`NnError`] where the file is no network that can be carried out.
pub fn quantized(float: &[u8], batches: &BatchMaker, pieces: usize) -> Result<Quantized, NnError> {
    let mut quantizer = Quantizer::new(float)?;
    let size = quantizer.inputs().first().and_then(|port| port.shape.last().copied());
    let maker = BatchMaker { size: size.unwrap_or(batches.size), batch: 1, ..batches.clone() };
    for step in 0..pieces {
        quantizer.observe(&[maker.make(step).images])?;
    }
    // Objects are few and their values lie at the ends of the ranges: whatever cuts ends off for the sake of the many
    // others makes them worse.
    quantizer.finish(&QuantizeOptions { range: RangeChoice::MinMax, ..QuantizeOptions::default() })
}
