"""The training loops of other projects, written anew in their published form: the same steps and the same
calls of torch and NumPy, CPU, float32.

Where their regularisation differs from ½‖·‖² of the batch's own embeddings per positive, `step` says so.
"""
