"""Two tasks of Ray's."""
import ray


@ray.remote
def task(number):
    import wave

    return number * 7


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
print(ray.get([task.remote(number) for number in (1, 2)]))
ray.shutdown()
