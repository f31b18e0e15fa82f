"""LiteRT without XNNPACK, which rounds otherwise, and not the same way in every graph."""


def plain_interpreter(content: bytes):
    """A LiteRT interpreter with LiteRT's own kernels, ready."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    return interpreter
