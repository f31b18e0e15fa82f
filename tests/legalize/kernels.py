"""LiteRT without XNNPACK, whose kernels are chosen by what a graph looks like, and round otherwise."""


def plain_interpreter(content: bytes):
    """A LiteRT interpreter with LiteRT's own kernels, ready."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    return interpreter
