"""Kestrel, onnxruntime and OpenVINO on the same networks and inputs: the engines take turns, run by run; the table has
medians of times, ratios of Kestrel's to each peer's, and how far the outputs agree."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

HERE = Path(__file__).resolve().parent
PEERS = ["onnxruntime", "onnxruntime-exact", "openvino"]


class Engine:
    """A process that runs one network whenever it is told to."""

    def __init__(self, name, command, output):
        self.name, self.output, self.cpu_ms, self.wall_ms = name, output, [], []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version = self.read().removeprefix("ready ")

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with exit code {self.process.wait()}")
        return line.strip()

    def run(self):
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        cpu_ms, wall_ms = map(float, self.read().split())
        self.cpu_ms.append(cpu_ms)
        self.wall_ms.append(wall_ms)

    def finish(self):
        self.process.stdin.close()
        self.process.wait()
        return np.fromfile(self.output, np.float32)


def input_shape(path):
    return [d.dim_value for d in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]


def smooth_image(shape, seed):
    """Smooth patches with noise on them."""
    rng = np.random.default_rng(seed)
    n, c, h, w = shape
    patches = rng.normal(0, 1, (n, c, -(-h // 16), -(-w // 16)))
    smooth = patches.repeat(16, 2).repeat(16, 3)[:, :, :h, :w]
    return (smooth + rng.normal(0, 0.3, shape)).astype(np.float32)


def output_steps(path):
    """The size of one quantisation step of each output, and its number of values; None for outputs in float."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    makers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    steps = []
    for output in graph.output:
        length = int(np.prod([d.dim_value for d in output.type.tensor_type.shape.dim]))
        maker = makers.get(output.name)
        is_dequantised = maker is not None and maker.op_type == "DequantizeLinear"
        scale = onnx.numpy_helper.to_array(constants[maker.input[1]]).item() if is_dequantised else None
        steps.append((scale, length))
    return steps


def agreement(path, found, expected):
    """Per output: the worst difference, in quantisation steps where it has some, and the share of values within one."""
    parts, start = [], 0
    for scale, length in output_steps(path):
        off = np.abs(found[start : start + length] - expected[start : start + length])
        if scale:
            off = np.round(off / scale)
            parts.append(f"{off.max():.0f} steps, {100 * (off <= 1).mean():.2f} % within 1")
        else:
            parts.append(f"{off.max():.1e}")
        start += length
    return "; ".join(dict.fromkeys(parts))


def compare(path, arguments, folder):
    """Lets the engines run one network in turns; returns a row of the table."""
    image = folder / "input.raw"
    smooth_image(input_shape(path), seed=99).tofile(image)
    shared = [str(path), "--input", str(image), "--threads", str(arguments.threads)]
    commands = {"kestrel": [arguments.runner, *shared, "--serve"]}
    for name in PEERS:
        commands[name] = [sys.executable, str(HERE / "worker.py"), name, *shared]
    engines = []
    for name, command in commands.items():
        output = folder / f"{name}.raw"
        try:
            engines.append(Engine(name, [*command, "--output", str(output)], output))
        except (OSError, RuntimeError) as error:
            print(f"compare.py: {path.name}: {error}", file=sys.stderr)
    for _ in range(arguments.runs):
        for engine in engines:
            engine.run()
    outputs = {engine.name: engine.finish() for engine in engines}
    row = {"network": path.stem, "threads": arguments.threads}
    for engine in engines:
        row[engine.name] = {
            "version": engine.version,
            "cpu_ms": statistics.median(engine.cpu_ms),
            "wall_ms": statistics.median(engine.wall_ms),
        }
    if "kestrel" in outputs and "onnxruntime-exact" in outputs:
        row["agreement"] = agreement(path, outputs["kestrel"], outputs["onnxruntime-exact"])
    return row


def ratio(row, engine, clock):
    if engine not in row or "kestrel" not in row:
        return "-"
    return f"{row['kestrel'][clock] / row[engine][clock]:.2f}"


def line(row, clock):
    cells = [row["network"], f"{row['kestrel'][clock]:.2f}" if "kestrel" in row else "-"]
    for peer in PEERS:
        cells.append(f"{row[peer][clock]:.2f} ({ratio(row, peer, clock)})" if peer in row else "-")
    return "| " + " | ".join([*cells, row.get("agreement", "-")]) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--runner", required=True, help="the example model_run")
    parser.add_argument("--runs", type=int, default=31)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where the figures go as well")
    arguments = parser.parse_args()
    # With more threads than one, what counts is how soon the result is there.
    clock = "cpu_ms" if arguments.threads == 1 else "wall_ms"
    rows = []
    print(f"{arguments.threads} thread(s), median {clock} of {arguments.runs} runs in turns")
    print("| network | kestrel | " + " | ".join(f"{peer} (ratio)" for peer in PEERS) + " | outputs, to the exact one |")
    print("|---" * (3 + len(PEERS)) + "|")
    for path in arguments.networks:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(compare(path, arguments, Path(folder)))
        print(line(rows[-1], clock), flush=True)
    versions = {engine["version"].removesuffix(", exact") for row in rows for engine in row.values() if isinstance(engine, dict)}
    print("versions: " + ", ".join(sorted(versions)))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
