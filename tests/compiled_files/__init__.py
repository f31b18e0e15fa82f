"""Files in the form of those that Google's compiler makes, for tests that have none of them.

They hold all that a driver, a virtual stick or the search for a twin looks at, as docs/format.md
has it: layers, transfers, parameters as they are laid out, places for addresses, outputs in tiles.
Their instructions are no program: no chip could run them.

- slots: FlatBuffers from the stock builder, slot by slot; they know nothing of the package's own
  code.
- programs: what a program is made of, as dataclasses whose fields may contradict each other.
- package: programs as bytes, packed as an operator carries them.
- instructions: whole instructions that tell the scales of a model's layers.
- tiles: how an output lies in what the tiles send.
- pair: any model, compiled, with its twin beside it.
- faults: one part described layer by layer, to be damaged in one place.
"""

from compiled_files.pair import Wrapping, compiled, compiled_pair, image_model, write_pair

__all__ = ["Wrapping", "compiled", "compiled_pair", "image_model", "write_pair"]
