"""x"""
NAME = "startup"
async def run(bench): raise NotImplementedError
