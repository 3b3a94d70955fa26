//! A network in float of which every tensor can be seen.

use std::fmt::{self, Display};
use std::sync::Arc;

use tract_onnx::pb::{ModelProto, ValueInfoProto};
use tract_onnx::prelude::{DatumType, IntoTValue, Tensor, TractResult, TypedRunnableModel};

use crate::error::{NnError, check_length};
use crate::onnx::{Graph, Port};
use crate::tract::{guarded, runnable, typed};

/// A network as tract runs it, with all its tensors of floats coming out.
pub(crate) struct Probe {
    runnable: Arc<TypedRunnableModel>,
    inputs: Vec<Port>,
    tensors: Vec<Port>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Probe").field("tensors", &self.tensors.len()).finish_non_exhaustive()
    }
}

impl Probe {
    /// Prepares `graph`.
    ///
    /// # Errors
    /// [`NnError::File`] where tract can't run it.
    pub(crate) fn new(graph: &Graph) -> Result<Self, NnError> {
        let makes = graph.nodes.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty());
        let names: Vec<_> = makes.cloned().collect();
        let (runnable, tensors) = guarded(|| watched(graph.to_model(&[]), names)).map_err(failed)?;
        Ok(Self { runnable, inputs: graph.inputs.clone(), tensors })
    }

    /// The tensors that come out, in the order in which the network makes them.
    pub(crate) fn tensors(&self) -> &[Port] {
        &self.tensors
    }

    /// Runs the network and shows the values of each tensor, told by its place among [`Probe::tensors`].
    ///
    /// # Errors
    /// [`NnError::Length`] where `inputs` are not what the network takes, those of `see`, and [`NnError::File`] where
    /// tract fails.
    pub(crate) fn run(
        &self,
        inputs: &[Vec<f32>],
        mut see: impl FnMut(usize, &[f32]) -> Result<(), NnError>,
    ) -> Result<(), NnError> {
        check_length("inputs of a network", self.inputs.len(), inputs.len())?;
        for (port, input) in self.inputs.iter().zip(inputs) {
            check_length("an input of a network", port.shape.iter().product(), input.len())?;
        }
        let tensors = self.inputs.iter().zip(inputs);
        let tensors =
            tensors.map(|(port, values)| Ok(Tensor::from_shape(&port.shape, values)?.into_tvalue()));
        let outputs = guarded(|| self.runnable.run(tensors.collect::<TractResult<_>>()?)).map_err(failed)?;
        for (index, output) in outputs.iter().enumerate() {
            let values = output.try_as_plain_ram().and_then(|ram| ram.as_slice::<f32>());
            see(index, values.map_err(failed)?)?;
        }
        Ok(())
    }
}

fn failed(problem: impl Display) -> NnError {
    NnError::File { problem: format!("a network that tract can't run: {problem}") }
}

/// A model out of which come all of `names` that are floats of fixed shape.
fn watched(mut model: ModelProto, names: Vec<String>) -> TractResult<(Arc<TypedRunnableModel>, Vec<Port>)> {
    let output = |name: &String| ValueInfoProto { name: name.clone(), ..ValueInfoProto::default() };
    if let Some(graph) = &mut model.graph {
        graph.output = names.iter().map(output).collect();
    }
    let mut model = typed(&model)?;
    let (mut outlets, mut tensors) = (Vec::new(), Vec::new());
    for (name, &outlet) in names.into_iter().zip(model.output_outlets()?) {
        let fact = model.outlet_fact(outlet)?;
        let is_float = fact.datum_type == DatumType::F32;
        if let Some(shape) = fact.shape.as_concrete().filter(|_| is_float) {
            tensors.push(Port { name, shape: shape.to_vec() });
            outlets.push(outlet);
        }
    }
    model.select_output_outlets(&outlets)?;
    Ok((runnable(model)?, tensors))
}
