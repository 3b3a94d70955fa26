"""One engine with one network: runs it once for each line `run` on the standard input and answers with CPU and wall
milliseconds, as the example `model_run --serve` does. The engine's own threads count as its CPU time."""

import argparse
import os
import sys
import time

import numpy as np


def onnxruntime_session(path, threads, exact=False):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait would burn CPU time and be measured.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if exact:
        # Without VNNI it would otherwise multiply bytes by an instruction that saturates.
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    return port.shape, lambda x: session.run(None, {port.name: x}), f"onnxruntime {ort.__version__}"


def openvino_session(path, threads):
    import openvino as ov

    core = ov.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(path, "CPU", settings).create_infer_request()
    model = request.get_compiled_model()

    def run(x):
        request.infer({0: x}, share_inputs=True)
        return [request.get_output_tensor(index).data for index in range(len(model.outputs))]

    return list(model.inputs[0].shape), run, f"openvino {ov.__version__.split('-')[0]}"


def onnxruntime_exact_session(path, threads):
    return onnxruntime_session(path, threads, exact=True)


ENGINES = {
    "onnxruntime": onnxruntime_session,
    "onnxruntime-exact": onnxruntime_exact_session,
    "openvino": openvino_session,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("network")
    parser.add_argument("--input", required=True, help="raw f32 values")
    parser.add_argument("--output", required=True, help="where all outputs go, one after the other, as raw f32")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    shape, run, name = ENGINES[arguments.engine](arguments.network, arguments.threads)
    image = np.fromfile(arguments.input, np.float32).reshape(shape)
    outputs = run(image)
    print(f"ready {name}", flush=True)
    for line in sys.stdin:
        if line.strip() != "run":
            break
        cpu, wall = time.process_time(), time.perf_counter()
        outputs = run(image)
        print(f"{(time.process_time() - cpu) * 1e3:.4f} {(time.perf_counter() - wall) * 1e3:.4f}", flush=True)
    np.concatenate([np.asarray(output, np.float32).ravel() for output in outputs]).tofile(arguments.output)
    # OpenVINO's threads outlive the interpreter's end now and then.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
