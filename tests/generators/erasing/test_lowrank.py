import torch
from torch import nn

from generators.erasing.lowrank import attach, detach


def test_a_change_starts_as_nothing_and_leaves_the_matrix_as_it_was() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    x = torch.randn(4, 6)
    out = model(x)
    changes = attach(model, ["0.weight", "2.weight"], rank=2, seed=1)
    assert torch.equal(model(x), out)
    learnt = [p for change in changes.values() for p in change.parameters()]
    assert [p.requires_grad for p in learnt] == [True] * 4
    optimiser = torch.optim.SGD(learnt, lr=0.1)
    model(x).square().sum().backward()
    optimiser.step()
    assert not torch.equal(model(x), out)
    changed = model(x).detach()
    pairs = detach(model, changes)
    assert torch.equal(model(x), out)
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name])
    for name, (a, b) in pairs.items():
        model.get_parameter(name).data += b @ a
    torch.testing.assert_close(model(x), changed)
