"""Importing foreign models as packages of this node: converters run once, in an isolated child process.

A new format is a module here with one function that `inference.importing.child` names in ``IMPORTERS``:

    def read_FORMAT(source: SourceFiles, options: Options, out: Path) -> ImportDraft

- It runs in the child: without network, with limits on memory, processor time and file size, on files that
  `sources` has checked. It may use torch; nothing that `service` imports may (import contracts).
- It reads data and builds what it knows by name from tables in the code. It never unpickles
  (``torch.load(weights_only=True)``), never imports a class by a path from a file, never evaluates an expression.
- Anything unknown is refused by name, with what to do: ``raise ImportRefused(...)``.
- It writes weights as safetensors into ``out`` and returns an `ImportDraft`: the runtime of the contract without
  ``structures``, and one `ImportedLabel` per structure, whose ``selects`` becomes its entry in ``runtime.structures``.

The runtime is a member of ``Runtime`` in `inference.contract.model`, loaded by a line in
`inference.server.runtimes.catalogue`. Names of structures, licence, card, version, self-test and the writing of the
package are the same for every format: `labels`, `package`, `card`, `self_test`.
"""
