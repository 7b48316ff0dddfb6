"""Modes, which see every operator, without torch's compiler."""

import functools
import sys
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Mode(TorchDispatchMode):
    """A mode that neither imports torch's compiler nor is compiled, where a step calls what its user compiled."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # asked by torch, which else imports its compiler to keep it out of here

    def __enter__(self) -> Any:
        if "torch._dynamo" in sys.modules:
            self._keep_out_the_compiler()
        return super().__enter__()

    @classmethod
    @functools.cache
    def _keep_out_the_compiler(cls) -> None:
        cls.__torch_dispatch__ = torch._disable_dynamo(cls.__torch_dispatch__)  # type: ignore[method-assign]
