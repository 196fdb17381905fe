"""x"""
NAME = "sweep"
async def run(bench): raise NotImplementedError
