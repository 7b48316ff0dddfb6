"""Steps of a VAE over data in memory, as fast as we could write them: on a GPU as a CUDA graph."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jobs import Job
from torch import Tensor, nn

Step = Callable[[Tensor], None]


def by_hand(model: nn.Module, job: Job, x: Tensor) -> tuple[Step, Tensor]:
    """What takes a step on examples of x, which lies on the model's device, and the sum of the losses since."""
    on_gpu = x.is_cuda
    optimizer = torch.optim.Adam(model.parameters(), lr=job.learning_rate, fused=True, capturable=on_gpu)
    differentiate = of_mlp(model) if job.name == "mlp" and not on_gpu else by_autograd(model, job)
    total = torch.zeros((), dtype=torch.float64, device=x.device)

    def step(indices: Tensor) -> None:
        loss = differentiate(x.index_select(0, indices))
        optimizer.step()
        total.add_(loss)

    return graphed(step) if on_gpu else step, total


# the loss of a batch, summed over it; the gradients of its mean are left in the parameters
def by_autograd(model: nn.Module, job: Job) -> Callable[[Tensor], Tensor]:
    parameters = list(model.parameters())

    def differentiate(x: Tensor) -> Tensor:
        mean, log_variance = model.encoder(x).chunk(2, 1)
        z = torch.addcmul(mean, torch.randn_like(mean), (0.5 * log_variance).exp())
        decoded = model.decoder(z)
        if job.bernoulli:
            reconstruction = CrossEntropy.apply(decoded, x)
        else:
            reconstruction = 0.5 * F.mse_loss(decoded, x, reduction="sum")
        loss = reconstruction - 0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        for parameter in parameters:
            parameter.grad = None
        (loss / len(x)).backward()
        return loss.detach()

    return differentiate


class CrossEntropy(torch.autograd.Function):
    """log(1 + exp(l)) - x l, summed."""

    @staticmethod
    def forward(ctx, logits: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(logits, x)
        return cross_entropy(logits, x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        logits, x = ctx.saved_tensors
        return logits.sigmoid().sub_(x).mul_(gradient), None


def cross_entropy(logits: Tensor, x: Tensor) -> Tensor:
    if x.is_cuda:
        return F.softplus(logits).addcmul_(x, logits, value=-1).sum()
    # torch's softplus takes log1p, which takes eight times as long on a CPU as log, and that as long as five products
    factors = logits.abs().sigmoid_().view(len(x), math.gcd(x[0].numel(), 16), -1)
    return logits.clamp_min(0).addcmul_(x, logits, value=-1).sum() - factors.prod(1).log_().sum()


def of_mlp(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Without autograd: the chain rule on paper."""
    w1, b1, w2, b2, w3, b3, w4, b4 = model.parameters()

    @torch.no_grad()
    def differentiate(images: Tensor) -> Tensor:
        x, share = images.flatten(1), 1 / len(images)
        # forward
        h1 = torch.addmm(b1, x, w1.t()).relu_()
        mean, log_variance = torch.addmm(b2, h1, w2.t()).chunk(2, 1)
        deviation = (0.5 * log_variance).exp_()
        noise = torch.randn_like(deviation).mul_(deviation)
        z = mean + noise
        h2 = torch.addmm(b3, z, w3.t()).relu_()
        logits = torch.addmm(b4, h2, w4.t())
        variance_less_one = deviation.square_().sub_(1)
        loss = cross_entropy(logits, x) + 0.5 * (variance_less_one - log_variance).addcmul_(mean, mean).sum()
        # backward: of the decoder, of z, of mean and log-variance, of the encoder
        by_logits = logits.sigmoid_().sub_(x).mul_(share)
        w4.grad, b4.grad = by_logits.t() @ h2, by_logits.sum(0)
        by_h2 = torch.ops.aten.threshold_backward(by_logits @ w4, h2, 0)
        w3.grad, b3.grad = by_h2.t() @ z, by_h2.sum(0)
        by_z = by_h2 @ w3
        by_log_variance = noise.mul_(by_z).add_(variance_less_one, alpha=share).mul_(0.5)
        by_code = torch.cat([by_z.add_(mean, alpha=share), by_log_variance], 1)
        w2.grad, b2.grad = by_code.t() @ h1, by_code.sum(0)
        by_h1 = torch.ops.aten.threshold_backward(by_code @ w2, h1, 0)
        w1.grad, b1.grad = by_h1.t() @ x, by_h1.sum(0)
        return loss

    return differentiate


def graphed(step: Step) -> Step:
    """Replayed from a CUDA graph, one for each size of batch."""
    replays: dict[int, tuple[Tensor, torch.cuda.CUDAGraph]] = {}

    def replay(indices: Tensor) -> None:
        if len(indices) not in replays:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    step(indices)
            torch.cuda.current_stream().wait_stream(side)
            buffer, graph = indices.clone(), torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                step(buffer)
            replays[len(indices)] = buffer, graph
        buffer, graph = replays[len(indices)]
        buffer.copy_(indices)
        graph.replay()

    return replay
